"""The webview: where the person logs in at the bank, and is sent back to who asked."""

import re
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from adapters.budget_insight.simulator.bank import Bank, Connection, Credential, User
from adapters.budget_insight.simulator.banks import CONNECTORS, Connector, connector_of, find_connector
from adapters.budget_insight.simulator.edge import form, simulator
from adapters.budget_insight.simulator.options import SimulatorOptions
from adapters.budget_insight.simulator.statements import Statement
from adapters.budget_insight.simulator.webview_pages import error_page, login_page, manage_page

LANGUAGES = "en|fr|de|nl|pt|it|es"
FLOWS = "connect|reconnect|manage"
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    # The address holds a code, and the pages need nothing from anywhere.
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
CANCELLED = "The user cancelled the authentication."


class Unusable(Exception):
    """The address of the page is wrong in a way the person can only be told about."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


async def show(request: web.Request) -> web.Response:
    try:
        return Visit(request).page()
    except Unusable as unusable:
        return shown(error_page(request.match_info["lang"], unusable.reason), unusable.status)


async def submit(request: web.Request) -> web.Response:
    sent = await form(request)
    try:
        return Visit(request).submit(sent)
    except Unusable as unusable:
        return shown(error_page(request.match_info["lang"], unusable.reason), unusable.status)


class Visit:
    """One opening of a page, with its address checked: each check may end in `Unusable`."""

    def __init__(self, request: web.Request) -> None:
        self._bank = simulator(request).bank
        self._lang = request.match_info["lang"]
        self._flow = request.match_info["flow"]
        query = request.query
        self._state = query.get("state")
        check_client_id(self._bank.options, query.get("client_id"))
        self._redirect_uri = query.get("redirect_uri")
        if self._redirect_uri is not None or self._flow != "manage":
            check_redirect_uri(self._bank.options, self._redirect_uri)
        self._code = code_of(self._bank, query.get("code"), required=self._flow != "connect")
        self._connection = None
        if self._flow == "reconnect":
            self._connection = own_connection(self._code, query.get("connection_id"))
        wanted = f"{query.get('connector_uuids', '')},{query.get('connector_ids', '')}"
        found = [find_connector(reference.strip()) for reference in wanted.split(",")]
        self._connector = next((connector for connector in found if connector), None)

    def page(self, *, login: str = "", wrong: bool = False) -> web.Response:
        if self._flow == "manage":
            return shown(manage_page(self._lang, own_banks(self._owner())))
        connector = self._connection.connector if self._connection else self._connector
        name = (connector or CONNECTORS[0]).name
        return shown(login_page(self._lang, self._flow, name, login=login, wrong=wrong))

    def submit(self, sent: dict[str, str]) -> web.Response:
        if self._flow == "manage":
            return self._manage(sent)
        if "cancel" in sent:
            self._finish()
            return self._back(error="access_denied", error_description=CANCELLED)
        login = sent.get("login", "")
        statement = self._bank.log_in(login, sent.get("password", ""))
        if self._connection is not None:
            if statement is not self._connection.statement:
                return self.page(login=login, wrong=True)
            self._finish()
            self._bank.reconnect(self._connection)
            return self._back()
        if statement is None:
            return self.page(login=login, wrong=True)
        connector = self._connector or connector_of(statement.bank)
        return self._connected(connector, statement)

    def _connected(self, connector: Connector, statement: Statement) -> web.Response:
        given = {}
        if self._code is None:
            # Nobody was named, so the person becomes a new user whom the code makes known.
            user = self._bank.create_user(permanent=False)
            given["code"] = self._bank.issue(user, "standard").value
        else:
            user = self._code.user
        self._finish()
        connection = self._bank.connect(user, statement, connector, enable=True)
        return self._back(connection_id=str(connection.id), **given)

    def _manage(self, sent: dict[str, str]) -> web.Response:
        owner = self._owner()
        deleted = sent.get("delete", "")
        for connection in list(owner.connections.values()):
            if str(connection.id) == deleted:
                self._bank.delete_connection(connection)
        if "done" in sent and self._redirect_uri is not None:
            self._finish()
            return self._back()
        return self.page()

    def _owner(self) -> User:
        assert self._code is not None
        return self._code.user

    def _finish(self) -> None:
        if self._code is not None:
            self._bank.use_up(self._code)

    def _back(self, **answer: str) -> web.Response:
        """Send the person back; `state` returns as it came, and only if it came."""
        if self._state is not None:
            answer["state"] = self._state
        query = f"?{urlencode(answer)}" if answer else ""
        headers = {**PAGE_HEADERS, "Location": f"{self._redirect_uri}{query}"}
        return web.Response(status=302, headers=headers)


def check_client_id(options: SimulatorOptions, client_id: str | None) -> None:
    if options.client_id is not None and client_id != options.client_id:
        raise Unusable("The client_id is unknown.")


def check_redirect_uri(options: SimulatorOptions, redirect_uri: str | None) -> None:
    if not redirect_uri:
        raise Unusable("The redirect_uri is missing.")
    listed = options.redirect_uris
    allowed = redirect_uri in listed if listed else is_loopback(redirect_uri)
    if not allowed or "?" in redirect_uri or "#" in redirect_uri:
        raise Unusable("The redirect_uri must match the constraints defined in the administration console.")


def is_loopback(address: str) -> bool:
    # Control characters would end up in a header.
    if re.search(r"[\x00-\x20\x7f\\]", address):
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or parts.username is not None:
            return False
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def code_of(bank: Bank, value: str | None, *, required: bool) -> Credential | None:
    """Return the code of the address; a permanent token is no code and belongs in no address."""
    if not value:
        if required:
            raise Unusable("The code is missing.")
        return None
    found = bank.credential(value)
    if found is None or found.kind == "permanent":
        raise Unusable("The code is unknown, used or expired.", status=403)
    return found


def own_connection(code: Credential | None, connection_id: str | None) -> Connection:
    own = code.user.connections.values() if code is not None else ()
    for connection in own:
        if str(connection.id) == connection_id:
            return connection
    raise Unusable("The connection is unknown.", status=404)


def own_banks(user: User) -> list[tuple[int, str]]:
    return [(connection.id, connection.connector.name) for connection in user.connections.values()]


def shown(page: str, status: int = 200) -> web.Response:
    return web.Response(text=page, status=status, content_type="text/html", headers=PAGE_HEADERS)


ROUTES = tuple(
    route
    for path in (
        f"/{{lang:{LANGUAGES}}}/{{flow:{FLOWS}}}",
        f"/2.0/auth/webview/{{lang:{LANGUAGES}}}/{{flow:{FLOWS}}}",
    )
    for route in (web.get(path, show), web.post(path, submit))
)
