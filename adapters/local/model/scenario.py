"""What the scripted model answers: pure, from the conversation so far to one step.

A turn is a list of steps; each request of a turn gets the next one, for the conversation holds as many answers as were
given. Plain prompts find their turn by their words, in English or Japanese; a prompt that says `SCRIPT: [steps]` is
played to the letter (`README.md` has the language).
"""

import json
import re
from typing import Any

Step = dict[str, Any]
Messages = list[dict[str, Any]]

_SCRIPT = re.compile(r"SCRIPT:\s*(?=\[)")
_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def next_step(messages: Messages) -> tuple[str, int, Step]:
    """The prompt that is being answered, how many answers it had, and the step that comes now."""
    at, prompt = _prompt(messages)
    answered = sum(1 for message in messages[at + 1 :] if message["role"] == "assistant")
    steps = _steps(prompt)
    return prompt, answered, steps[answered] if answered < len(steps) else {"text": "…"}


def _prompt(messages: Messages) -> tuple[int, str]:
    """Where the last thing a person said stands, and what it was."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user":
            said = [text for text in _texts(messages[index]["content"]) if not text.lstrip().startswith("<system-")]
            if said:
                return index, said[-1].strip()
    return -1, ""


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [block.get("text", "") for block in content if block.get("type") == "text"]


def is_exact(prompt: str) -> bool:
    """Whether a prompt is played to the letter."""
    return _SCRIPT.search(prompt) is not None


def _steps(prompt: str) -> list[Step]:
    exact = _SCRIPT.search(prompt)
    if exact:
        return _script(prompt[exact.end() :])
    language = "ja" if _JAPANESE.search(prompt) else "en"
    for words, make in _TURNS:
        if words.search(prompt):
            return make(language)
    return _hello(language)


def _script(text: str) -> list[Step]:
    try:
        steps: list[Any] = json.JSONDecoder().raw_decode(text)[0]
    except ValueError as error:
        return [{"text": f"This script is no JSON: {error}"}]
    for number, step in enumerate(steps, start=1):
        if not isinstance(step, dict):
            return [{"text": f"Step {number} of this script is no JSON object: {json.dumps(step)[:60]}"}]
    return steps


def _slow(language: str) -> list[Step]:
    paragraph = _say(
        language,
        "The river went on, past the mill and the two old willows, and nobody counted the bends. ",
        "川は水車小屋と二本の古い柳を過ぎて流れつづけ、曲がり角を数える者はいませんでした。",
    )
    title = _say(language, "# A long story\n\n", "# 長い物語\n\n")
    return [{"text": title + "\n\n".join(f"{n}. {paragraph * 3}" for n in range(1, 31)), "chunk": 24, "tick": 0.06}]


def _write(language: str) -> list[Step]:
    haiku = _say(
        language,
        "Slow water, old stones\nthe river forgets its name\nand still finds the sea\n",
        "五月雨を\n集めて早し\n最上川\n",
    )
    before = _say(language, "I'll write that to `haiku.txt`.", "`haiku.txt` に書きますね。")
    after = _say(
        language,
        f"Done: **haiku.txt** has three lines.\n\n```text\n{haiku}```",
        f"できました。**haiku.txt** は三行です。\n\n```text\n{haiku}```",
    )
    write = {"tool": "Write", "input": {"file_path": "haiku.txt", "content": haiku}}
    return [{"blocks": [{"text": before}, write]}, {"text": after, "tick": 0.02}]


def _run(language: str) -> list[Step]:
    command = "printf '3 passed\\n' > results.txt && cat results.txt"
    description = _say(language, "Run the tests", "テストを実行する")
    before = _say(language, "Let me run the tests.", "テストを実行します。")
    after = _say(language, "All green: **3 passed**.", "すべて成功です：**3 passed**")
    run = {"tool": "Bash", "input": {"command": command, "description": description}}
    return [{"blocks": [{"text": before}, run]}, {"text": after, "tick": 0.02}]


def _fail(language: str) -> list[Step]:
    look = {"tool": "Bash", "input": {"command": "ls /no/such/folder", "description": "Look for the folder"}}
    after = _say(
        language,
        "That folder does not exist, so the command failed. Nothing was changed.",
        "そのフォルダは存在しないので、コマンドは失敗しました。何も変更していません。",
    )
    return [look, {"text": after}]


def _retry(language: str) -> list[Step]:
    after = _say(
        language,
        "The model was overloaded at first; Claude Code tried again by itself.",
        "最初は混み合っていましたが、Claude Code が自動で再試行しました。",
    )
    return [{"err": 529, "times": 1, "then": {"text": after}}]


def _hello(language: str) -> list[Step]:
    english = (
        "Hello! I am the *scripted* model of the playground: everything around me is real, I only pretend.\n\n"
        "Try one of these:\n"
        "- **write a file** – I use a tool, and you are asked first\n"
        "- **run the tests** – a command, allowed by you\n"
        "- **tell me a long story** – and press *Stop* in the middle\n"
        "- **fail**, or **retry** – what it looks like when things go wrong"
    )
    japanese = (
        "こんにちは。プレイグラウンドの*台本*モデルです。まわりはすべて本物で、私だけが演じています。\n\n"
        "試してみてください：\n"
        "- **ファイルを書いて** – ツールを使う前に確認します\n"
        "- **テストを実行して** – あなたが許可したコマンドだけ動きます\n"
        "- **長い物語を聞かせて** – 途中で*停止*を押せます\n"
        "- **失敗**、**再試行** – うまくいかないときの様子"
    )
    return [{"text": _say(language, english, japanese), "tick": 0.02}]


def _say(language: str, english: str, japanese: str) -> str:
    return japanese if language == "ja" else english


def _words(english: str, japanese: str) -> re.Pattern[str]:
    """Finds any of these: English ones at the beginning of a word."""
    return re.compile(rf"(?<![a-z])(?:{english})|{japanese}", re.IGNORECASE)


_TURNS = (
    (_words("slow|long|story", "ゆっくり|長い|物語"), _slow),
    (_words("fail", "失敗"), _fail),
    (_words("retry|error|overload", "再試行|エラー|混み"), _retry),
    (_words("run|test", "実行|テスト"), _run),
    (_words("write|file|haiku", "書い|書き|ファイル|俳句"), _write),
)
