import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.parsers import Secret
from adapters.settings import GatewaySettings, Settings, SettingsError, load, load_gateway

HERE = Path(__file__)
KEY = HERE.with_name("example.key")

GOOD = {
    "DISCORD_TOKEN": "MTIz.made-up.token-1",
    "DISCORD_GUILD_ID": "123456789012345678, 2",
    "DISCORD_API_URL": "http://127.0.0.1:8000/api/v10/",
    "DB_HOST": "localhost",
    "DB_PORT": "5433",
    "DB_USER": "bot",
    "DB_PASSWORD": "made-up-password",
    "DB_NAME": "log",
    "LOG_KEY_FILE": str(KEY),
    "GATEWAY_URL": "http://127.0.0.1:8001",
    "GATEWAY_SECRET_FILE": str(KEY),
    "EGRESS_URL": "http://127.0.0.1:3128",
    "EGRESS_ALLOW": "git.example",
    "REPO_TRUST": "git.example/team, github.com",
    "SANDBOX_DIR": str(HERE.parent),
    "MAX_SANDBOXES": "7",
    "MAX_SANDBOXES_PER_USER": "2",
    "SANDBOX_START_SECONDS": "60",
    "SANDBOX_REAP_SECONDS": "30",
    "BUDGET_USER_USD_PER_DAY": "2.50",
    "BUDGET_OWNER_USD_PER_DAY": "20",
    "PERMISSION_SECONDS": "3600",
    "OWNER_IDS": "5, 6",
    "OWNER_CHANNEL_ID": "7",
    "CLAUDE_CONFIG_PATH": str(HERE.parent),
    "CLAUDE_BIN": sys.executable,
    "HTTP_PORT": "9100",
    "LOG_FORMAT": "json",
    "LOG_LEVEL": "debug",
}
OPTIONAL = {
    "DISCORD_API_URL",
    "OWNER_IDS",
    "OWNER_CHANNEL_ID",
    "DB_PORT",
    "EGRESS_URL",
    "EGRESS_ALLOW",
    "REPO_TRUST",
    "MAX_SANDBOXES",
    "MAX_SANDBOXES_PER_USER",
    "SANDBOX_START_SECONDS",
    "SANDBOX_REAP_SECONDS",
    "BUDGET_USER_USD_PER_DAY",
    "BUDGET_OWNER_USD_PER_DAY",
    "PERMISSION_SECONDS",
    "CLAUDE_CONFIG_PATH",
    "CLAUDE_BIN",
    "HTTP_PORT",
    "LOG_FORMAT",
    "LOG_LEVEL",
}
# for each setting, values that must be refused
BAD = {
    "DISCORD_TOKEN": ["", "two words", "té", "x", "MTIz", "made.up.token", "YWJj.x.y"],
    "DISCORD_GUILD_ID": ["", "my server", "1,,2", "１２３", "0", "1;2"],
    "DISCORD_API_URL": ["", "ftp://x", "localhost:80", "http://me:pw@host/", "http://", "http://[::1"],
    "OWNER_IDS": ["", "@me", "1 2"],
    "OWNER_CHANNEL_ID": ["", "#owners"],
    "DB_HOST": ["", "a\x00b"],
    "DB_PORT": ["", "0", "65536", "-1", "5_4", "５４３２", "5432.0", "1e3"],
    "DB_USER": ["", "a\nb"],
    "DB_NAME": [""],
    "LOG_KEY_FILE": ["", "/nowhere/at/all", str(HERE.parent), str(HERE), "a\x00b"],
    "GATEWAY_URL": ["", "not an address"],
    "GATEWAY_SECRET_FILE": ["", "/nowhere/at/all", str(HERE)],
    "EGRESS_URL": ["", "gateway:3128"],
    "EGRESS_ALLOW": ["http://a"],
    "REPO_TRUST": ["team/name", "https://git.example/team", "a.b/c, *"],
    "SANDBOX_DIR": ["", str(HERE)],
    "MAX_SANDBOXES_PER_USER": ["-1", "two", "10001"],
    "MAX_SANDBOXES": ["0", "three", "10001", "9" * 5000],
    "SANDBOX_START_SECONDS": ["0", "2m"],
    "SANDBOX_REAP_SECONDS": ["0", "1h"],
    "BUDGET_USER_USD_PER_DAY": ["", "0", "0.00", "-1", "$5", "1e3", "5.005", "５"],
    "BUDGET_OWNER_USD_PER_DAY": ["", "much"],
    "PERMISSION_SECONDS": ["9", "forever"],
    "CLAUDE_CONFIG_PATH": ["", str(HERE / "none")],
    "CLAUDE_BIN": ["", str(HERE), str(HERE.parent)],
    "HTTP_PORT": ["", "0", "65536"],
    "LOG_FORMAT": ["", "JSON", "xml"],
    "LOG_LEVEL": ["", "loud"],
}
# where sandboxes are pods
PODS = {name: value for name, value in GOOD.items() if name != "SANDBOX_DIR"} | {
    "KUBERNETES_NAMESPACE": "sandboxes",
    "KUBECONFIG": str(HERE),
    "SANDBOX_POD_FILE": str(HERE),
    "SANDBOX_IMAGE": "registry.example/sandbox:1",
    "SANDBOX_CPU": "1.5",
    "SANDBOX_CPU_REQUEST": "100m",
    "SANDBOX_MEMORY": "2Gi",
    "SANDBOX_MEMORY_REQUEST": "256Mi",
    "SANDBOX_RUNTIME_CLASS": "gvisor",
    "SANDBOX_ISOLATION": "warn",
}
BAD_PODS = {
    "KUBERNETES_NAMESPACE": ["", "My Sandboxes", "-a", "a" * 64],
    "KUBECONFIG": ["", "/nowhere/at/all", f"{HERE}:{HERE}"],
    "SANDBOX_POD_FILE": ["", "/nowhere/at/all"],
    "SANDBOX_IMAGE": [""],
    "SANDBOX_CPU": ["", "one", "1 core", "-1"],
    "SANDBOX_CPU_REQUEST": ["100millis"],
    "SANDBOX_MEMORY": ["2GB", "1e9"],
    "SANDBOX_MEMORY_REQUEST": ["lots"],
    "SANDBOX_RUNTIME_CLASS": ["", "gVisor"],
    "SANDBOX_ISOLATION": ["", "off"],
}
GATEWAY = {name: GOOD[name] for name in GOOD if name.startswith(("DB_", "LOG_"))} | {
    "CLAUDE_API_KEY": "made-up-key",
    "GATEWAY_SECRET_FILE": str(KEY),
    "GATEWAY_PORT": "9000",
    "GATEWAY_UPSTREAM": "http://127.0.0.1:9001",
}


WRONG = {
    "is missing",
    "is empty",
    "holds unprintable characters",
    "holds spaces, or characters no token has",
    "is no bot token",
    "is not an amount of dollars",
    "is nothing at all",
    "is not a Discord id (digits only)",
    "is not a whole number",
    "is out of range",
    "is none of its choices",
    "is not an http or https address",
    "holds a user or password",
    "names no file",
    "names a file that cannot be read",
    "names a file that holds something else",
    "names a file that cannot be executed",
    "names no folder",
    "names a path that cannot be looked at",
    "holds characters that no host name has",
    "holds something that is neither a host, an owner at one, nor a repository",
}


def problems(environ: dict[str, str], read: Callable[[dict[str, str]], object] = load) -> set[str]:
    with pytest.raises(SettingsError) as caught:
        read(environ)
    return {problem.name for problem in caught.value.problems}


def test_good_settings_are_read() -> None:
    settings = load(GOOD)
    assert settings.discord_token.reveal() == GOOD["DISCORD_TOKEN"]
    assert settings.discord_guild_ids == ("123456789012345678", "2")
    assert settings.discord_api_url == "http://127.0.0.1:8000/api/v10"
    assert (settings.database.port, settings.max_sandboxes, settings.permission_seconds) == (5433, 7, 3600)
    assert (settings.budget_user, settings.budget_owner) == (2_500_000, 20_000_000)
    assert settings.max_sandboxes_per_user == 2
    assert (settings.logging.format, settings.logging.level) == ("json", "debug")


def test_what_is_optional_has_its_default() -> None:
    settings = load({name: value for name, value in GOOD.items() if name not in OPTIONAL})
    assert settings.discord_api_url is settings.claude_config_path is settings.claude_bin is None
    assert (settings.database.port, settings.max_sandboxes, settings.max_sandboxes_per_user) == (5432, 3, 0)
    assert (settings.budget_user, settings.budget_owner) == (0, 0)
    assert (settings.sandbox_start_seconds, settings.permission_seconds) == (120, 86_400)
    assert (settings.logging.format, settings.logging.level) == ("auto", "info")


@given(
    missing=st.sets(st.sampled_from(sorted(GOOD))),
    wrong=st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in BAD.items()}),
)
def test_all_that_is_missing_or_wrong_is_named_at_once(missing: set[str], wrong: dict[str, str]) -> None:
    environ = {name: value for name, value in (GOOD | wrong).items() if name not in missing}
    expected = (missing - OPTIONAL) | (wrong.keys() - missing)
    if expected:
        assert problems(environ) == expected
    else:
        load(environ)


def test_sandboxes_are_pods_where_a_namespace_is_named() -> None:
    settings = load(PODS)
    assert settings.sandbox_dir is None
    assert settings.pods
    assert (settings.pods.namespace, settings.pods.cpu, settings.pods.kubeconfig) == ("sandboxes", "1.5", HERE)
    assert load(GOOD).pods is None


def test_of_pods_only_the_namespace_and_the_template_must_be_named() -> None:
    needed = {name: value for name, value in PODS.items() if name in {*GOOD, "KUBERNETES_NAMESPACE"}}
    assert problems(needed) == {"SANDBOX_POD_FILE"}
    pods = load(needed | {"SANDBOX_POD_FILE": str(HERE)}).pods
    assert pods
    assert pods.isolation == "enforce"
    assert pods.kubeconfig is pods.image is pods.cpu is pods.memory is pods.runtime_class is None


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD_PODS for value in BAD_PODS[name]])
def test_a_wrong_setting_of_pods_is_named(name: str, value: str) -> None:
    assert problems(PODS | {name: value}) == {name}


TEXTS = st.text() | st.builds("http://{}".format, st.text()) | st.just("/" + "x" * 5000)


@given(
    environ=st.fixed_dictionaries(
        {"LOG_KEY_FILE": st.just("")}, optional=dict.fromkeys(GOOD.keys() - {"LOG_KEY_FILE"}, TEXTS)
    )
)
@example(environ={"LOG_KEY_FILE": "", "GATEWAY_URL": "http://a\u2100b"})
def test_any_text_is_read_or_refused_and_never_repeated(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    for problem in caught.value.problems:
        assert problem.wrong in WRONG
        assert problem.remedy


def test_a_message_says_what_is_wrong_and_what_to_do_and_no_value() -> None:
    with pytest.raises(SettingsError) as caught:
        load(GOOD | {"DISCORD_GUILD_ID": "secret.pasted.here", "DB_PORT": "hunter2"})
    assert str(caught.value).splitlines() == [
        "2 settings are missing or wrong:",
        "  DISCORD_GUILD_ID is not a Discord id (digits only): the id of your Discord server, or several with commas between",
        "  DB_PORT is not a whole number: the port of PostgreSQL, 1 to 65535",
    ]


@given(text=st.text(min_size=1).map(str.strip).filter(lambda text: bool(text) and text.isprintable()))
def test_an_address_of_the_database_keeps_every_character(text: str) -> None:
    names = ("DB_USER", "DB_PASSWORD", "DB_NAME")
    parts = urlsplit(load(GOOD | dict.fromkeys(names, text) | {"DB_HOST": "/a b"}).database.dsn())
    assert parts.scheme == "postgresql"
    assert [unquote(part or "") for part in (parts.username, parts.password, parts.path[1:])] == [text, text, text]
    assert parse_qs(parts.query) == {"host": ["/a b"], "port": ["5433"]}


@pytest.mark.parametrize(("host", "written"), [("db.example", "db.example"), ("::1", "[::1]"), ("/a:b", "/a:b")])
def test_an_ipv6_address_is_told_from_its_port(host: str, written: str) -> None:
    assert parse_qs(urlsplit(load(GOOD | {"DB_HOST": host}).database.dsn()).query)["host"] == [written]


def test_the_gateway_alone_has_the_key_of_the_model() -> None:
    assert load_gateway(GATEWAY).claude_api_key.reveal() == "made-up-key"
    assert problems({}, load_gateway) >= {"CLAUDE_API_KEY", "GATEWAY_SECRET_FILE", "DB_HOST"}
    assert load_gateway(GATEWAY).egress_port is None
    assert load_gateway(GATEWAY).host == "127.0.0.1"
    assert load_gateway(GATEWAY).check_address
    assert not load_gateway(GATEWAY | {"TOKEN_ADDRESS": "ignore"}).check_address
    assert load_gateway(GATEWAY | {"EGRESS_PORT": "3128", "EGRESS_ALLOW": "a.b"}).egress_allow == "a.b"
    assert problems(GATEWAY | {"EGRESS_PORT": "x", "EGRESS_ALLOW": "http://a"}, load_gateway) == {
        "EGRESS_PORT",
        "EGRESS_ALLOW",
    }
    assert load_gateway(GATEWAY | {"GIT_CREDENTIALS_FILE": str(KEY)}).git_credentials_file == KEY
    assert problems(GATEWAY | {"GIT_CREDENTIALS_FILE": "/nowhere/at/all"}, load_gateway) == {"GIT_CREDENTIALS_FILE"}
    assert "CLAUDE_API_KEY" not in problems({})
    assert "claude_api_key" not in Settings.__struct_fields__


@pytest.mark.parametrize("settings", [load(GOOD), load_gateway(GATEWAY)], ids=["bot", "gateway"])
def test_secrets_do_not_show_themselves(settings: Settings | GatewaySettings) -> None:
    for shown in (repr(settings), str(settings), f"{settings}"):
        assert not any(secret in shown for secret in ("made-up", "made.up"))
    with pytest.raises(TypeError):
        msgspec.json.encode(settings.database)


def test_a_secret_has_no_way_out_but_reveal() -> None:
    shows: list[Callable[[object], str]] = [repr, str, "{}".format, "{!r}".format, "%s".__mod__]
    for show in shows:
        assert "hunter2" not in show(Secret("hunter2"))
        assert "hunter2" not in show([Secret("hunter2")])
    assert Secret("hunter2").reveal() == "hunter2"
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
