"""What every record can be sorted and counted by, beside declared fields."""

from collections.abc import Mapping

from mediastore.catalog.field_values import Field
from mediastore.catalog.filter_queries import CONTENT, EXPIRED, PID, SQL_TYPES, field_expression
from mediastore.catalog.search_queries import Facet, Order

NEWEST = Order(key="m.id", kind="bigint", descending=True, is_clustered=True)
"""As they were made; unlike their times, no two are the same."""

ORDERS: Mapping[str, Order] = {
    "pid": Order(key=PID, kind="text"),
    "created_at": Order(key="m.created_at", kind="timestamptz", is_clustered=True),
    "updated_at": Order(key="m.updated_at", kind="timestamptz", is_clustered=True),
    "expires_at": Order(key="m.expires_at", kind="timestamptz", nullable=True),
    "size": Order(key="o.size", kind="bigint", nullable=True, of_content=True),
}

FACETS: Mapping[str, Facet] = {
    "tags": Facet(name="tags", expression="m.tags", each=True),
    "store": Facet(name="store", expression="m.store", shown="(SELECT s.name FROM store s WHERE s.id = v)"),
    "media_type": Facet(name="media_type", expression="o.media_type", join=CONTENT),
    "owner": Facet(name="owner", expression="m.owner"),
    "status": Facet(name="status", expression=f"CASE WHEN {EXPIRED} THEN 'expired' ELSE m.status END"),
}


def field_order(field: Field) -> Order:
    kind = SQL_TYPES[field.type]
    return Order(key=field_expression(field), kind=kind, nullable=True)


def field_facet(field: Field) -> Facet:
    return Facet(name=field.name, expression=field_expression(field))
