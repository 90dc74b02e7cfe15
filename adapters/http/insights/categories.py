"""The category list."""

from __future__ import annotations

from adapters.http.doors import INSIGHTS
from adapters.http.fields import Nothing
from adapters.http.routing import Answer, Asked, Route
from domain.categories.tree import CATEGORIES
from projections.answers import encode
from projections.reports.shapes import CategoriesAnswer, CategoryOfList

#: The same for everybody, at any time.
_LIST = encode(
    CategoriesAnswer(
        [
            CategoryOfList(id=category.id, name=category.name, parents=list(category.parents))
            for category in CATEGORIES
        ]
    )
)


async def get_categories(asked: Asked) -> Answer:
    return Answer(body=_LIST)


ROUTES = (
    Route(
        method="POST",
        path="/insights/v1/categories/get",
        door=INSIGHTS,
        handler=get_categories,
        tag="Insights reports",
        summary="List all categories, and what they belong to",
        body=Nothing,
        body_optional=True,
        answers={200: CategoriesAnswer},
        problems=(403,),
    ),
)
