"""Links the readings of imported posts to the templates that wrote them, which no export tells."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pipelines.outcomes.authorship import PRECISION, Published, Written, authors, by_text
from store.table import Table

if TYPE_CHECKING:
    pass

POSTS_A_PAGE, ANSWERS_A_PAGE = 5_000, 200


class Authorship(Table):
    """Works on one account at a time. Raises what Store's methods raise; what was linked before that stays linked."""

    async def link(self, account_id: str) -> int:
        """Link posts that no template is named of to the latest earlier candidate of the same text; return how many.

        To be called after an import; again it changes nothing. A template's figures are brought up to date. Folding
        runs on a thread and reading in pages, none of which holds a lock.
        """
        async with self._connect() as connection:
            since = await connection.fetchval(self._queries["first_query_at"], account_id)
        if since is None:
            return 0
        posts = await self._posts(account_id, since - PRECISION)
        found: dict[str, Written] = {}
        after: tuple[datetime, UUID] = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
        while posts:
            async with self._connect() as connection:
                rows = await connection.fetch(
                    self._queries["candidates_of_templates"], account_id, *after, ANSWERS_A_PAGE
                )
            if not rows:
                break
            after = (rows[-1]["created_at"], rows[-1]["id"])
            written = [
                Written(row["text"], row["template_id"], row["created_at"])
                for row in rows
                if row["text"] is not None and row["template_id"] is not None
            ]
            # Pages come in order of time: a later candidate takes the place of an earlier one.
            found |= await asyncio.to_thread(authors, posts, written)
        if not found:
            return 0
        columns = list(found), [written.template_id for written in found.values()]
        async with self._transaction() as connection:
            await connection.execute(self._queries["lock_outcomes"], account_id)
            await connection.execute(self._queries["lock_templates"], account_id)
            linked: int = await connection.fetchval(self._queries["name_templates"], account_id, *columns)
            if linked:
                await connection.execute(self._queries["update_outcomes"], account_id)
        return linked

    async def _posts(self, account_id: str, since: datetime) -> dict[str, list[Published]]:
        found: dict[str, list[Published]] = {}
        after: tuple[datetime, str] = (since, "")
        while True:
            async with self._connect() as connection:
                rows = await connection.fetch(
                    self._queries["posts_without_template"], account_id, since, *after, POSTS_A_PAGE
                )
            page = await asyncio.to_thread(by_text, [Published(**row) for row in rows])
            for text, posts in page.items():
                found.setdefault(text, []).extend(posts)
            if len(rows) < POSTS_A_PAGE:
                return found
            after = (rows[-1]["posted_at"], rows[-1]["post_id"])
