// What the page itself says, in the language of the person. What the bot says comes from the bot.

const en = {
  lang: "en",
  channels: "Channels and threads", category: "Text channels", people: "Act as", messages: "Messages in {0}", composer: "Message {0}",
  skip: "To the message box", menu: "Channels", log: "Event log", send: "Send", attach: "Attach files", remove_file: "Remove {0}",
  placeholder: "Message {0} · / for commands", placeholder_closed: "This thread is closed", placeholder_locked: "This thread is locked",
  archived: "Closed threads ({0})", new_window: "Open a second window as {0}", unread: "unread", mentions: "{0} mentions",
  reconnecting: "Connection lost. Reconnecting…", back: "Connected again.",
  wrong_token: "This is not the whole address. Open the one that the playground printed in the terminal, with its token.",
  edited: "(edited)", thinking: "{0} is thinking…", only_you: "Only you can see this", dismiss: "Dismiss message",
  failed: "This interaction failed", no_answer: "The application did not respond",
  unknown: "Unknown component (type {0})", app: "APP", edit: "Edit", delete: "Delete", events: "Show events", cancel: "Cancel",
  edit_hint: "Escape to cancel, Enter to save", too_large: "{0} is too large: 10 MB is the limit.", too_long: "{0} characters too many (2,000 is the limit).",
  spoiler: "Spoiler: show", copy: "Copy", copied: "Copied", jump: "New messages below", older: "Loading older messages…", start: "This is the start of {0}.",
  nothing_thread: "Nothing here yet. What you write here goes to Claude.",
  pick: "Commands", required: "required", optional: "optional", option_missing: "This option is required. Fill in: {0}",
  choose: "Choose…", choose_many: "Choose up to {0}", yes: "True", no: "False", submit: "Submit", close: "Close",
  typing_one: "{0} is typing…", typing_many: "Several people are typing…", thread_of: "{0} ›", drop: "Drop files to attach them",
  used: "{0} used {1}", closed_thread: "This thread is closed. Writing in it opens it again.", image: "Image {0}",
  owner: "owner", member: "member", guest: "guest",
  log_title: "Event log", log_all: "All threads", log_thread: "This thread", log_message: "Events of one message", log_clear: "Show all",
  log_empty: "No event yet. Do something in the thread: each step is recorded here before it is answered.",
  log_lost: "The log cannot be reached. Trying again…", log_hidden: "only for the person it belongs to", log_erased: "erased",
  log_cause: "caused by {0}", log_none: "This message has no event in the log: only what the bot shows or receives has.",
  log_more: "{0} older events are not shown.",
  views_title: "Views, last changed by {0}", view_members: "Who may", view_quota: "Sandboxes: {0} in use, {1} waiting", view_none: "nobody",
  view_holds: "has one", view_waits: "waits, place {0}",
  then_title: "The session as it was", then_now: "now, {0}", then_at: "{0}, {1}, {2}", then_phase: "phase",
  welcome_title: "Welcome to the playground",
  welcome: [
    "This is **discord-claude**, whole, on your machine: a Discord of its own, and the bot that it is about.",
    "{about}",
    "Type `/claude start` below, or press **Play it for me** and watch.",
    "In a thread, write what you want done. Claude asks before it writes or runs anything; you decide with the buttons.",
    "Open the **event log** (top right) to see what is recorded, open a second window as somebody else, or kill the bot: it goes on where it was.",
  ],
  play: "Play it for me", playing: "Playing, step {0} of {1}: {2}", played: "Played to the end. Now you.", play_failed: "It stopped: {0}", play_begins: "Playing…",
};

const ja = {
  lang: "ja",
  channels: "チャンネルとスレッド", category: "テキストチャンネル", people: "操作する人", messages: "{0} のメッセージ", composer: "{0} へメッセージを送信",
  skip: "入力欄へ移動", menu: "チャンネル一覧", log: "イベントログ", send: "送信", attach: "ファイルを添付", remove_file: "{0} を外す",
  placeholder: "{0} へメッセージを送信（/ でコマンド）", placeholder_closed: "このスレッドは終了しました", placeholder_locked: "このスレッドはロックされています",
  archived: "終了したスレッド（{0}）", new_window: "{0} として別のウィンドウを開く", unread: "未読", mentions: "メンション {0} 件",
  reconnecting: "接続が切れました。再接続しています…", back: "再接続しました。",
  wrong_token: "アドレスが完全ではありません。ターミナルに表示された、トークン付きのアドレスを開いてください。",
  edited: "（編集済み）", thinking: "{0} が考え中…", only_you: "これはあなただけに表示されています", dismiss: "メッセージを消す",
  failed: "インタラクションに失敗しました", no_answer: "アプリケーションが応答しませんでした",
  unknown: "未対応のコンポーネント（種類 {0}）", app: "アプリ", edit: "編集", delete: "削除", events: "イベントを見る", cancel: "キャンセル",
  edit_hint: "Esc で取り消し、Enter で保存", too_large: "{0} が大きすぎます（上限 10 MB）。", too_long: "{0} 文字多すぎます（上限 2,000 文字）。",
  spoiler: "ネタバレを表示", copy: "コピー", copied: "コピーしました", jump: "新しいメッセージへ", older: "以前のメッセージを読み込み中…", start: "ここが {0} の始まりです。",
  nothing_thread: "まだ何もありません。ここに書いたことは Claude に届きます。",
  pick: "コマンド", required: "必須", optional: "任意", option_missing: "このオプションは必須です：{0}",
  choose: "選択してください…", choose_many: "{0} 件まで選択", yes: "はい", no: "いいえ", submit: "送信", close: "閉じる",
  typing_one: "{0} が入力中…", typing_many: "複数の人が入力中…", thread_of: "{0} ›", drop: "ここにドロップして添付",
  used: "{0} が {1} を使用しました", closed_thread: "このスレッドは終了しています。書き込むと再び開きます。", image: "画像 {0}",
  owner: "オーナー", member: "メンバー", guest: "ゲスト",
  log_title: "イベントログ", log_all: "すべてのスレッド", log_thread: "このスレッド", log_message: "1 件のメッセージのイベント", log_clear: "すべて表示",
  log_empty: "まだイベントはありません。スレッドで何かすると、応答の前にここへ記録されます。",
  log_lost: "ログに接続できません。再試行しています…", log_hidden: "本人にだけ表示されます", log_erased: "消去済み",
  log_cause: "原因 {0}", log_none: "このメッセージのイベントはログにありません（ボットが表示・受信したものだけが記録されます）。",
  log_more: "これより前の {0} 件は表示していません。",
  views_title: "ビュー（最後の変更 {0}）", view_members: "使える人", view_quota: "サンドボックス：使用中 {0}、待ち {1}", view_none: "いません",
  view_holds: "使用中", view_waits: "{0} 番目に待機中",
  then_title: "そのときのセッション", then_now: "現在、{0}", then_at: "{0}、{1}、{2}", then_phase: "状態",
  welcome_title: "プレイグラウンドへようこそ",
  welcome: [
    "**discord-claude** のすべてがこのマシンで動いています。専用の Discord と、主役のボットです。",
    "{about}",
    "下の欄に `/claude start` と入力するか、**自動で見せて**を押してみてください。",
    "スレッドには、してほしいことをそのまま書きます。Claude は書き込みや実行の前に確認するので、ボタンで決めてください。",
    "右上の**イベントログ**で記録を見たり、別の人として 2 つ目のウィンドウを開いたり、ボットを強制終了してみてください。続きから再開します。",
  ],
  play: "自動で見せて", playing: "再生中（{1} 段階中 {0}）：{2}", played: "最後まで再生しました。次はあなたの番です。", play_failed: "止まりました：{0}", play_begins: "再生中…",
};

let texts = en;

export function speak(locale) {
  texts = locale?.startsWith("ja") ? ja : en;
  document.documentElement.lang = texts.lang;
}

export const language = () => texts.lang;

/** The text of that name, with what belongs into it. */
export function say(name, ...values) {
  const text = texts[name];
  if (Array.isArray(text)) return text;
  return values.reduce((made, value, index) => made.replaceAll(`{${index}}`, String(value)), text ?? name);
}
