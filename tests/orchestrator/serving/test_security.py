"""Attacks on the page: by name, by form, by path, by content, without the token."""

from pathlib import Path

import pytest
from serving_rig import HERE, TOKEN, Rig

from orchestrator.cli.serving import actions
from orchestrator.cli.serving.sessions import COOKIE, MOST_SESSIONS, Sessions

EVERY_POST = (
    "/start",
    "/release",
    "/sweep",
    "/logout",
    "/campaigns/sample/cancel",
    "/campaigns/sample/report",
)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "WRONG_TOKEN_S", 0.0)


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "["]
)
def test_a_name_that_was_made_to_point_here_is_not_answered(rig: Rig, name: str) -> None:
    assert rig.get("/campaigns", host=name).status_code == 421


@pytest.mark.parametrize(
    "name", ["127.0.0.1:8080", "localhost:9000", "[::1]:8080", "LOCALHOST", "192.0.2.7"]
)
def test_addresses_are(rig: Rig, name: str) -> None:
    assert rig.get("/campaigns", host=name).status_code == 200


def test_a_name_can_be_allowed(tmp_path: Path) -> None:
    with Rig.over(tmp_path, names=frozenset({"bench.example"})) as rig:
        assert rig.get("/campaigns", host="bench.example:8080").status_code == 200
        assert rig.get("/campaigns", host="other.example").status_code == 421


@pytest.mark.parametrize("path", EVERY_POST)
@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:8081"])
def test_forms_of_other_sites_change_nothing(acting: Rig, path: str, origin: str | None) -> None:
    assert acting.post(path, origin=origin).status_code == 403
    assert acting.get("/campaigns").text.count("Sign out") == 1


def test_a_cross_site_form_is_refused_whatever_origin_it_claims(acting: Rig) -> None:
    answer = acting.client.post("/logout", headers={"origin": HERE, "sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", EVERY_POST)
def test_nothing_can_be_changed_without_the_token(rig: Rig, path: str) -> None:
    assert rig.post(path).status_code == 403
    assert rig.get("/campaigns").text.count("read-only") == 1


def test_the_token_opens_a_session_that_scripts_cannot_see(tmp_path: Path) -> None:
    with Rig.over(tmp_path, token=TOKEN) as rig:
        wrong = rig.enter("wrong")
        assert wrong.status_code == 403
        assert "That is not the token" in wrong.text
        answer = rig.post("/login", token=TOKEN, to="/capacity")
        assert (answer.status_code, answer.headers["location"]) == (303, "/capacity")
        cookie = answer.headers["set-cookie"].lower()
        assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
        assert TOKEN not in cookie
        assert rig.post("/logout").status_code == 303
        assert rig.post("/sweep").status_code == 403


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb"])
def test_nobody_is_sent_elsewhere_after_signing_in(tmp_path: Path, to: str) -> None:
    with Rig.over(tmp_path, token=TOKEN) as rig:
        assert rig.post("/login", token=TOKEN, to=to).headers["location"] == "/"


def test_without_a_token_nobody_signs_in(rig: Rig) -> None:
    assert rig.enter("").status_code == 403


@pytest.mark.parametrize("path", ["/", "/campaigns", "/campaigns/sample", "/compare", "/capacity"])
def test_what_others_can_reach_is_read_with_the_token_only(tmp_path: Path, path: str) -> None:
    with Rig.over(tmp_path, address="192.0.2.1", token=TOKEN) as rig:
        answer = rig.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?to={path}")
        assert rig.get("/live").status_code == 401
        assert rig.get("/static/serve.css").status_code == 200
        rig.enter(TOKEN)
        assert rig.get(path).status_code == 200


def test_sessions_end_and_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(TOKEN)
    first = sessions.open(TOKEN)
    for _ in range(MOST_SESSIONS):
        last = sessions.open(TOKEN)
    assert not sessions.knows(first)
    assert sessions.knows(last)
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert not sessions.knows(last)


@pytest.mark.parametrize(
    "path", ["/campaigns", "/static/serve.js", "/nothing", "/live?topic=x", "/login"]
)
def test_every_answer_has_the_security_headers(rig: Rig, path: str) -> None:
    rig.serving.hub.close()
    for headers in (rig.get(path).headers, rig.get(path, host="evil.example").headers):
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/campaigns/..%2fsecret",
        "/campaigns/sample/report/../../secret.txt",
        "/campaigns/sample/report/..%2f..%2fsecret.txt",
        "/campaigns/sample/report/tables/..%2f..%2f..%2fsecret.csv",
        "/campaigns/sample/report/%2fetc%2fpasswd",
        "/static/..%2fapp.py",
        "/static/serve.js%00",
        "/jobs/..%2f..%2fsecret",
    ],
)
def test_no_path_leads_out_of_the_results_root(rig: Rig, path: str) -> None:
    (rig.root.parent / "secret.txt").write_text("a secret")
    (rig.root.parent / "secret.csv").write_text("a secret")
    answer = rig.get(path)
    assert answer.status_code == 404
    assert "a secret" not in answer.text


def test_nor_does_a_link(rig: Rig, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "report.html").write_text("a secret")
    (elsewhere / "plan.json").write_text("{}")
    (rig.root / "linked").symlink_to(elsewhere)
    (rig.root / "sample" / "report").symlink_to(elsewhere)
    assert rig.get("/campaigns/linked").status_code == 404
    answer = rig.get("/campaigns/sample/report/report.html")
    assert answer.status_code == 400
    assert "a secret" not in answer.text


def test_a_report_is_served_without_any_right(rig: Rig) -> None:
    (rig.root / "sample/report").mkdir()
    (rig.root / "sample/report/report.html").write_text("<script>steal()</script>")
    policy = rig.get("/campaigns/sample/report/report.html").headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script" not in policy
    assert "allow-scripts" not in policy


def test_what_was_measured_is_no_markup(rig: Rig) -> None:
    evil = "<script>steal()</script><img src=x onerror=steal()>"
    rig.put(0, outcome="failed", error_class="work", error_text=evil, reasons=(evil,))
    rig.serving.shelf.refresh()
    for path in ("/campaigns/sample", "/campaigns/sample/trials", "/campaigns/sample/trials?q=<script>"):
        text = rig.get(path).text
        assert "<script>steal" not in text
        assert "<img" not in text
    trial = rig.serving.shelf.reader("sample").recent(1)[0][0].trial_id
    assert "&lt;script&gt;" in rig.get(f"/campaigns/sample/trials/{trial}").text


def test_a_large_form_is_refused(acting: Rig) -> None:
    assert acting.post("/start", file="x" * 100_000).status_code == 413


def test_the_cookie_is_the_only_way_in(acting: Rig) -> None:
    acting.client.cookies.set(COOKIE, "guessed")
    acting.client.cookies.delete(COOKIE, domain="127.0.0.1")
    assert acting.post("/sweep").status_code == 403
