"""Which addresses the server may be sent to."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.placement.endpoints import check_endpoint, refusal
from mediastore.placement.errors import EndpointRefused

NEVER = ["169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "::", "::ffff:169.254.169.254"]
PRIVATE = ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "::1", "fc00::1", "::ffff:127.0.0.1", "100.64.0.1"]
GLOBAL = ["1.1.1.1", "52.216.0.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_are_never_fit(address: str) -> None:
    assert refusal(ip_address(address), allow_private=True)
    assert refusal(ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_fit_by_setting_only(address: str) -> None:
    assert "MEDIASTORE_ALLOW_PRIVATE_ENDPOINTS" in refusal(ip_address(address), allow_private=False)
    assert refusal(ip_address(address), allow_private=True) == ""


@pytest.mark.parametrize("address", GLOBAL)
def test_global_addresses_are_fit(address: str) -> None:
    assert refusal(ip_address(address), allow_private=False) == ""


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_itself(address: IPv4Address) -> None:
    mapped = ip_address(f"::ffff:{address}")
    for allow_private in (True, False):
        assert bool(refusal(mapped, allow_private=allow_private)) == bool(refusal(address, allow_private=allow_private))


# Other ways in which a URL or a resolver writes 127.0.0.1 and the metadata service.
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://localhost",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://[::1]:9000",
        "http://[::ffff:127.0.0.1]",
        "http://0",
    ],
)
async def test_this_machine_is_not_reached_by_any_spelling(url: str) -> None:
    with pytest.raises(EndpointRefused):
        await check_endpoint(url, allow_private=False)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://2852039166", "http://[fe80::1%25lo]"])
async def test_metadata_services_are_never_reached(url: str) -> None:
    with pytest.raises(EndpointRefused):
        await check_endpoint(url, allow_private=True)


async def test_aws_needs_no_endpoint() -> None:
    await check_endpoint(None, allow_private=False)


@pytest.mark.parametrize(
    "url", ["http://no-such-host.invalid", "http://" + "x" * 300, "http://a..b", "http://\u2603.invalid", "http://[::1"]
)
async def test_a_host_that_is_none_is_a_sentence(url: str) -> None:
    with pytest.raises(EndpointRefused, match="endpoint_url"):
        await check_endpoint(url, allow_private=True)
