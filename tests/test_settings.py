"""Settings: read strictly, and without telling secrets."""

from pathlib import Path

import pytest

from mediastore.errors import SettingInvalid
from mediastore.settings import PREFIX, Settings, load_settings

NO_FILE = Path("/nonexistent/.env")


def load(**given: str) -> Settings:
    return load_settings({f"{PREFIX}{name}": value for name, value in given.items()}, env_file=NO_FILE)


def test_without_any_setting_there_is_a_default_for_each() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.embedded
    assert settings.url == "http://localhost:8000"
    assert settings.roots == (Path("data").resolve() / "stores",)


def test_values_are_read_as_their_types() -> None:
    settings = load(
        HOME="/srv/media",
        PORT="9000",
        WORKERS="4",
        TOKEN_TTL_S="0.5",
        ALLOW_PRIVATE_ENDPOINTS="Yes",
        ACCESS_LOG="off",
        TRUSTED_PROXIES="10.0.0.0/8, ::1 ,",
        DATABASE_URL="postgresql://me@host/db",
        LOG_FORMAT="json",
    )
    assert (settings.home, settings.port, settings.workers, settings.token_ttl_s) == (Path("/srv/media"), 9000, 4, 0.5)
    assert (settings.allow_private_endpoints, settings.access_log, settings.log_format) == (True, False, "json")
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")
    assert [str(network) for network in settings.proxy_networks] == ["10.0.0.0/8", "::1/128"]
    assert not settings.embedded


@pytest.mark.parametrize("value", ["/a,/b", "/a, /b", " /a , /b ", "/a,/b,"])
def test_a_list_of_folders_is_read_with_or_without_spaces(value: str) -> None:
    assert load(FILESYSTEM_ROOTS=value).roots == (Path("/a"), Path("/b"))


@pytest.mark.parametrize("value", ["", "   "])
def test_an_empty_value_counts_as_none(value: str) -> None:
    assert load(PORT=value, SECRET_KEY=value) == Settings()


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("on", True), ("true", True), ("1", True), ("no", False), ("OFF", False), ("False", False), ("0", False)],
)
def test_yes_and_no_in_the_usual_words(text: str, value: bool) -> None:
    assert load(ALLOW_PRIVATE_ENDPOINTS=text).allow_private_endpoints is value


BAD = [
    ("PORT", "http"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "80.5"),
    ("WORKERS", "0"),
    ("WORKERS", "many"),
    ("ALLOW_PRIVATE_ENDPOINTS", "perhaps"),
    ("TOKEN_TTL_S", "0"),
    ("TOKEN_TTL_S", "-1"),
    ("TOKEN_TTL_S", "1h"),
    ("TOKEN_TTL_S", "nan"),
    ("TOKEN_TTL_S", "inf"),
    ("TOKEN_TTL_S", "1e300"),
    ("IDENTITY_CACHE_S", "-0.1"),
    ("IDENTITY_CACHE_S", "inf"),
    ("DATABASE_POOL_SIZE", "1"),
    ("DATABASE_WAIT_S", "0"),
    ("QUERY_TIMEOUT_S", "inf"),
    ("MAX_JSON_BYTES", "0"),
    ("MAX_METADATA_DEPTH", "0"),
    ("MAX_BATCH_ITEMS", "0"),
    ("MAX_UPLOAD_BYTES", "5 TB"),
    ("BODY_IDLE_TIMEOUT_S", "0"),
    ("PRESIGNED_URL_TTL_S", "604801"),
    ("UPLOAD_STALE_S", "0"),
    ("CLEANUP_INTERVAL_S", "0"),
    ("CLEANUP_INTERVAL_S", "inf"),
    ("LOGIN_ATTEMPTS", "0"),
    ("LOG_FORMAT", "xml"),
    ("LOG_LEVEL", "loud"),
    ("ACCESS_LOG", "2"),
    ("TRUSTED_PROXIES", "everyone"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/99"),
    ("PID_PREFIX", "/lab/"),
    ("PID_PREFIX", "x" * 240),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_refused_when_it_is_read_naming_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingInvalid, match=f"MEDIASTORE_{name}") as caught:
        load(**{name: value})
    assert value in caught.value.message


def test_bad_proxies_are_refused_at_the_latest_when_they_are_used() -> None:
    with pytest.raises(SettingInvalid, match="MEDIASTORE_TRUSTED_PROXIES"):
        _ = load(TRUSTED_PROXIES="everyone").proxy_networks


@pytest.mark.parametrize("name", ["PROT", "SECRETKEY", "X", "", "ROOTS", "EMBEDDED"])
def test_a_name_that_is_no_setting_is_refused(name: str) -> None:
    with pytest.raises(SettingInvalid, match=f"MEDIASTORE_{name}"):
        load(**{name: "1"})


def test_names_of_the_client_and_of_tests_are_left_alone() -> None:
    assert load(URL="http://x", API_KEY="k", TOKEN="t", TEST_DATABASE_URL="postgresql://x") == Settings()
    assert load_settings({"PATH": "/bin", "mediastore_port": "1", "XMEDIASTORE_PORT": "1"}, env_file=NO_FILE) == Settings()


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "MEDIASTORE_PORT=1111\nMEDIASTORE_WORKERS=3 # three\nexport MEDIASTORE_HOST='::1'\nOTHER=x\nMEDIASTORE_PUBLIC_URL\n"
    )
    settings = load_settings({"MEDIASTORE_PORT": "2222"}, env_file=file)
    assert (settings.port, settings.workers, settings.host, settings.public_url) == (2222, 3, "::1", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIASTORE_PORT", "3333")
    settings = load_settings()
    assert (settings.port, settings.workers) == (3333, 3), "by itself it reads .env of the folder and the environment"


def test_a_bad_line_of_the_file_is_refused_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("MEDIASTORE_PROT=1111\n")
    with pytest.raises(SettingInvalid, match="MEDIASTORE_PROT"):
        load_settings({}, env_file=file)


def test_secrets_are_not_in_the_representation() -> None:
    settings = load(ADMIN_PASSWORD="hunter2-a", SECRET_KEY="hunter2-b", DATABASE_URL="postgresql://me:hunter2-c@host/db")
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert "hunter2" not in f"{settings!r} {[settings]}"


def test_where_people_reach_the_server() -> None:
    assert load(PUBLIC_URL="https://media.example.org/").url == "https://media.example.org"
    assert load(HOST="0.0.0.0", PORT="80").url == "http://localhost:80"
    assert load(HOST="media.example.org").url == "http://media.example.org:8000"


def test_roots_are_absolute_and_know_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(FILESYSTEM_ROOTS="~/data").roots == (tmp_path.resolve() / "data",)
    assert load(HOME=str(tmp_path / "x")).roots == (tmp_path.resolve() / "x" / "stores",)
