# Discord で人が読むすべての文。id は `en.ftl` と同じ。

# --- コマンド
cmd-claude = このサーバーで Claude Code を使う
cmd-start = 専用のスレッドでセッションを始める
cmd-start-prompt = 最初に Claude に頼むこと
cmd-start-repo = 最初に取り込む Git リポジトリ（https://… または GitHub の OWNER/NAME）
cmd-stop = このスレッドで Claude がしている作業を止める
cmd-status = このセッションの状態を見る
cmd-audit = このセッションで起きたこと（オーナーのみ）
cmd-close = セッションを終了する（パッチと会話記録を渡し、サンドボックスを片づけます）
cmd-share = このスレッドで、サーバーのユーザー全員が書いたり答えたり止めたりできるようにする
cmd-unshare = このスレッドで操作できる人を、自分とオーナーだけに戻す
cmd-members = ここで Claude を使える人を見る
cmd-sessions = このサーバーで開いているセッションを見て、終了する（オーナー用）
cmd-add = ここで Claude を使えるようにする
cmd-add-user = ここで Claude を使えるようにする
cmd-add-owner = オーナーにする（人を加えたり、すべてのセッションで操作したりできます）
cmd-delete = できることを取り消す
cmd-delete-user = メンバーから外す（セッションは終了し、ここで Claude を使えなくなります）
cmd-delete-owner = オーナーをユーザーに戻す
option-person = 誰

# --- スレッド
starter = <@{ $person }> さんが Claude とのセッションを始めました。
thread-name = Claude · { $about }
head-title = **Claude Code**
head-waiting = { $place ->
    [1] ⏳ サンドボックスの空きを待っています（次の番です）。
   *[other] ⏳ サンドボックスの空きを待っています（{ $place } 番目）。
}
head-left = ⏸️ 列から抜けています。メッセージを書くと、列の最後にもう一度並びます。
head-asking = ⏳ サンドボックスを頼んでいます…
head-provisioning = ⚙️ サンドボックスを準備しています…
head-cloning = ⚙️ サンドボックスを準備し、リポジトリを取り込んでいます…
head-retrying = ⚙️ サンドボックスを準備しています…まだうまくいかないので、もう一度試します（{ $attempt } 回目）。
head-ready = ✅ 準備ができました。このスレッドにメッセージを書くと、Claude に届きます。
head-broken = ❌ Claude Code を起動できません。メッセージを書くともう一度試します。セッションを閉じることもできます。
head-working = 💭 Claude が作業しています。
head-awaiting = ✋ 下の確認に答えてください。
head-lost = ⚠️ サンドボックスが失われました。メッセージを書くと、新しいサンドボックスで続けます。
head-passed = ⏸️ サンドボックスは列の次の人に渡りました。メッセージを書くと、もう一度列に並びます。
head-uncloned = ⚠️ リポジトリを取り込めませんでした。メッセージを書くともう一度試します。セッションを終了することもできます。
head-closing = 📦 セッションを終了しています…
head-closed = 🏁 このセッションは終了しました。
head-model = -# { $model }
head-shared = -# 🤝 共有中：このサーバーのユーザーなら誰でも、ここで書く・答える・止めることができます。
head-unwalled = -# ⚠️ このサンドボックスはこのマシンの単なるフォルダで、隔離されていません。
head-open-walls = -# ⚠️ このサンドボックスは隔離されていません（届いてしまう先：{ $walls }）。このボットの運用者がそれを許しています（SANDBOX_ISOLATION）。
wall-api = クラスターの API サーバー
wall-kubelet = 動いているノード
wall-metadata = クラウドのメタデータサービス
wall-sandbox = ほかのサンドボックス
wall-outside = インターネット
wall-database = データベース
wall-bot = ボット
wall-dns = DNS
wall-ipv6 = インターネット（IPv6）
button-close = 終了
button-leave = 列から抜ける

# --- ターン
turn-working = -# 💭 <@{ $person }> さんの依頼で作業中（開始 <t:{ $since }:R>）
turn-asking = -# ✋ 確認待ち
turn-stopping = -# 🛑 停止しています…
turn-completed = -# ✅ 完了（{ $took }）
turn-stopped = -# 🛑 <@{ $person }> さんが停止しました（{ $took }）
turn-stopped-by-itself = -# 🛑 停止しました（{ $took }）
turn-failed = -# ❌ 失敗しました（{ $reason }、{ $took }）
turn-cut = -# ✂️ 途中で切れました（{ $took }、結果は不明）
unshowable = -# ⚠️ ここの内容は Discord に投稿できませんでした。
turn-silent = （何も言いませんでした）
duration = { $minutes ->
    [0] { $seconds } 秒
   *[other] { $minutes } 分 { $seconds } 秒
}
tool-more = ほか { $count } 行
retrying = -# ⏳ モデルが応答しません（{ $status }）。{ $limit } 回中 { $attempt } 回目の再試行です。
retrying-no-answer = 応答なし
skipped-broken = -# ⚠️ Claude の出力に読み取れない行がありました。
skipped-too_long = -# ⚠️ Claude の出力に長すぎて読み取れない行がありました（上限 16 MB）。
disk-filled = ⚠️ サンドボックスのディスクが { $percent } % 埋まっています。
memory-filled = ⚠️ サンドボックスのメモリが { $percent } % 使われています。100 % になると、中で動いているものが強制的に終了します。一度の依頼を小さくしてください。
disk-stopped = 🛑 サンドボックスのディスクが { $percent } % 埋まったため、何も失われないうちに Claude を止めました。依頼を小さくするか、セッションを終了してください。
notice-info = ℹ️ { $text }
notice-denied = 🚫 { $text }
notice-fallback = 🔀 { $text }
notice-compacted = 🗜️ 会話が長くなったので要約しました。
notice-cleared = 🧹 会話を消去しました。
notice-error = ⚠️ { $text }
button-stop = 停止

# --- 確認
ask-title = ✋ <@{ $person }> さん、Claude が **{ $tool }** を使おうとしています：
ask-cut = ⚠️ **あと { $count } 文字が表示されていません。** 確かでなければ拒否してください。
ask-reason = -# 確認の理由：{ $reason }
ask-path = -# 場所：{ $path }
ask-erased = （この文は消去されました）
ask-allowed = ✅ <@{ $person }> さんが許可しました
ask-always = ✅ <@{ $person }> さんがこのセッションのあいだ許可しました
ask-denied = ❌ <@{ $person }> さんが拒否しました
ask-expired = ⌛ 時間内に答えがなかったので拒否しました。
ask-withdrawn = ↩️ 確認は取り下げられました。
ask-expires = -# <t:{ $time }:R> に自動で拒否されます
button-allow = 許可
button-always = 常に許可
button-deny = 拒否

# --- 待ち行列
queued = ⏳ 待機中：{ $text }
button-remove = 取り消す

# --- 途中で切れたターン
cut = ✂️ <@{ $person }> さん、Claude の作業が途中で切れました。どこまで進んだかは分かりません。一部は済んでいるかもしれません。
    **続ける**：状況を確かめてから続けるよう Claude に頼みます。**やり直す**：同じ依頼をもう一度出します。
cut-why-cli = -# Claude Code が終了しました。
cut-why-journal = -# サンドボックスが再起動しました。
cut-why-sandbox = -# サンドボックスが失われました。
cut-why-send = -# 依頼が Claude Code に届いたかどうか分かりません。
cut-why-answer = -# Claude Code は完了と言いましたが、答えが届きませんでした。
cut-continue = ▶️ <@{ $person }> さんが「続ける」を選びました。
cut-retry = 🔁 <@{ $person }> さんが「やり直す」を選びました。
cut-prompt = ▶️ <@{ $person }> さんが新しい依頼で続けました。
button-continue = 続ける
button-retry = やり直す
continue-prompt = 直前のターンは途中で切れ、結果が分かりません。何かをもう一度する前に、すでに済んでいることを確かめてから続けてください。

# --- ほかの人が待っているサンドボックス
idle = 💤 <@{ $person }> さん、ほかの人がサンドボックスを待っていますが、ここでは <t:{ $since }:R> から何も起きていません。**このまま使いますか**、それとも**終了**して（パッチと会話記録を受け取って）空けますか？ 答えがなければ何も変わりません。
idle-kept = 👍 <@{ $person }> さんがこのまま使います。さらに 15 分何も起きず、そのとき待っている人がいれば、もう一度たずねます。
idle-over = ↩️ この確認は終わりました。
button-keep = このまま使う

# --- お知らせ
note-sandbox-lost = ⚠️ <@{ $person }> さん、サンドボックスが失われました（{ $detail }）。その中にしかなかったものは残っていません。メッセージを書くと新しいサンドボックスで続けます。終了することもできます。
note-sandbox-unwalled = 🧱 <@{ $person }> さん、今はサンドボックスを渡せません。何も入れないうちに中から試したところ、届いてはならない先（{ $detail }）に届きました。使わずに片づけます。このボットの運用者がクラスターのネットワークポリシーを直したあとで、メッセージを書くともう一度試します。
note-sandbox-refused = ❌ <@{ $person }> さん、今のままではサンドボックスを用意できません。このボットの運用者が原因を直したあとで、メッセージを書くともう一度試します。セッションを終了することもできます。
reason = -# { $reason }
lost-refused = 用意できません
lost-gone = 消えました
lost-start = 時間内に起動しませんでした
lost-memory = メモリが足りなくなりました
lost-evicted = クラスターが場所を取り上げました
lost-repo = リポジトリを取り込めませんでした
lost-walls = 隔離されていません
lost-node = 動いていたマシンが応答しなくなりました
note-cli-broken = ❌ <@{ $person }> さん、Claude Code が三回続けて終了したため（終了状態 { $detail }）、起動をやめました。メッセージを書くともう一度試します。
note-repo-cloned = 📥 リポジトリを取り込みました：
note-repo-untrusted = 📥 リポジトリを取り込みました。Claude Code が自動で実行したり従ったりするもの（{ $detail }）が入っていますが、**使いません**（CLAUDE.md は読みます）。このボットの運用者が REPO_TRUST に加えると使います。
note-repo-trusted = 📥 リポジトリを取り込みました。Claude Code が自動で実行したり従ったりするもの（{ $detail }）が入っていて、**使います**。このボットの運用者が信頼しているためです（REPO_TRUST）。
note-repo-failed = ❌ <@{ $person }> さん、リポジトリを取り込めませんでした：{ $detail }。依頼はまだ始まっていません。メッセージを書くともう一度試します。このセッションを終了して、新しく始めることもできます。
repo-not_found = そのアドレスにリポジトリがありません
repo-auth = そのアドレスにリポジトリがないか、非公開で、ここからは読めません
repo-host = その接続先からの取り込みは許可されていません
repo-moved = 別の場所に移っています
repo-size = サンドボックスのディスクに入りきりません
repo-time = サンドボックスの起動に使える時間内に終わりませんでした
repo-broken = git が最後まで進みませんでした
code-settings = 設定とフック：`.claude/settings.json`
code-mcp = MCP サーバー：`.mcp.json`
code-prompts = コマンド・スキル・エージェント：`.claude/`
note-egress-refused = 🚧 サンドボックスが、許可の一覧にない接続先へ出ようとしたので断りました。このボットの運用者が EGRESS_ALLOW に加えると通ります：
note-turn-completed = 🔔 <@{ $person }> さん、Claude の作業が終わりました。
note-turn-failed = ❌ <@{ $person }> さん、ターンが失敗しました（{ $detail }）。メッセージを書くと続けられます。
note-handover-kept = ⚠️ このセッションのファイルを投稿できませんでした。保管してあるので、運用者が `discord-claude files { $detail }` で取り出せます。
note-handover-lost = ⚠️ ファイルを投稿する前にサンドボックスが失われました。
note-disk-filled = ⚠️ <@{ $person }> さん、サンドボックスのディスクが { $detail } % 埋まっています。
note-memory-filled = ⚠️ <@{ $person }> さん、サンドボックスのメモリが { $detail } % 使われています。100 % になると、中で動いているものが強制的に終了します。一度の依頼を小さくしてください。
note-disk-stopped = 🛑 <@{ $person }> さん、サンドボックスのディスクが { $detail } % 埋まったため、何も失われないうちに Claude を止めました。依頼を小さくするか、セッションを終了してください。
note-shared = 🤝 <@{ $detail }> さんがこのセッションを共有しました。このサーバーのユーザーなら誰でも、ここで書く・答える・止めることができます。
note-unshared = 🔒 <@{ $detail }> さんがこのセッションの共有をやめました。操作できるのは、始めた人とオーナーだけです。
note-budget-neared = 💰 <@{ $person }> さん、今日使える分の { $detail } % を使いました。協定世界時の午前 0 時（日本時間の午前 9 時）にまた使えるようになります。
note-slot-passed = ⏸️ <@{ $person }> さん、ほかの人が待っているあいだ 10 分間何も頼まれなかったので、サンドボックスは列の次の人に渡りました。メッセージを書くと、もう一度列に並びます。
note-crowded = ⏸️ <@{ $person }> さんは、一人で使えるだけのサンドボックスをすでに使っているか待っているので、このセッションは列に並びません。別のセッションを `/claude close` で終了してから、ここにメッセージを書いてください。
note-removed = 🚪 <@{ $detail }> さんが <@{ $person }> さんをメンバーから外したので、このセッションは終了します。成果はこのあとに続きます。
handover = 📦 このセッションの成果：パッチと会話記録です。
handover-nothing = 📦 このセッションが残したファイルはありません。会話記録です。
handover-parts = -# Discord には大きすぎるファイルは分割してあります。`cat 名前.part* > 名前` で元に戻せます。
handover-left-out = -# ⚠️ 分割しても大きすぎるファイルが { $count } 件あり、投稿できませんでした。

# --- 本人だけへの返事
started = あなたのセッション：<#{ $thread }>
start-failed = スレッドを作れませんでした。このチャンネルで投稿やスレッド作成の権限がないようです。サーバーの管理者に確かめてから、もう一度試してください。
status-turn = 💭 <@{ $person }> さんの依頼で作業中です（開始 <t:{ $since }:R>）。
status-tasks = バックグラウンドの作業：{ $count } 件
status-usage = サンドボックス：{ $parts }
status-cpu = CPU は上限の { $percent } %
status-cpu-core = CPU は 1 コアの { $percent } %
status-memory = メモリ { $used } / { $limit } MiB（{ $percent } %）
status-memory-bare = メモリ { $used } MiB
status-disk = ディスク { $percent } % 使用
status-queue = 待っている依頼：{ $count } 件
shared = このサーバーのユーザーなら誰でも、このスレッドで書く・答える・止めることができるようになりました。やめるには `/claude unshare` を使ってください。
unshared = このセッションで操作できるのは、始めた人とオーナーだけになりました。
stop-asked = 🛑 Claude を停止します。ここまでにしたことは残ります。
stopping = Claude はもう停止の途中です。
closing = セッションを終了します。パッチと会話記録はスレッドに投稿されます。
not-recorded = **記録されませんでした**。データベースに届きません。何も起きていません。少し待ってから、もう一度お試しください。
waiting-for-database = ⏳ データベースに届きません。ここに書いたものは失われずに待ち、届くようになったら作業を続けます。
elsewhere = このサーバーでは使えません。
refused-already = それはもう済んでいます。
refused-budget = 一日に使える分（約 ${ $detail }）を使い切りました。協定世界時の午前 0 時（日本時間の午前 9 時）にまた使えるようになります。そのあとでもう一度書くか、上限を上げられるかオーナーに聞いてください。
refused-closed = このセッションは終了しています。`/claude start` で新しく始めてください。
closed-hint = 🏁 このセッションは終了しています。続きは新しいセッションでどうぞ。
button-again = もう一度始める
refused-empty = Claude に渡せる文がありません。文章を書いてください。
refused-expired = その確認はもう締め切られました。
refused-in_session = このスレッドにはもうセッションがあります。開いているあいだ、ここに書いたものは Claude に届きます。別のセッションは、チャンネルで `/claude start` を使ってください。
refused-malformed = そのボタンやコマンドを理解できません。古い版のものかもしれません。新しいメッセージのほうを使ってください。
refused-no_session = セッションのスレッドの中でだけ使えます。`/claude start` で始めてください。
refused-not_cut = それはもう決まりました。
refused-not_queued = その依頼はもう待っていません。Claude に渡ったか、取り消されました。
refused-not_running = 停止するものは（もう）ありません。
refused-not_waiting = このセッションは（もう）列に並んでいません。
refused-not_yours = このセッションで決められるのは、始めた本人とオーナーだけです。本人は `/claude share` で共有できます。または `/claude start` で自分のセッションを始めてください。
refused-queue_full = もう { $detail } 件が待っています。一つ取り消すか、待ってください。
refused-repo_host = その接続先からの取り込みは許可されていません。ここで許可されているのは { $detail } です。このボットの運用者が EGRESS_ALLOW に加えると通ります。
refused-repo_invalid = 取り込めるリポジトリではありません。`https://github.com/OWNER/NAME` のようなアドレスか、GitHub なら `OWNER/NAME` と書いてください。ユーザー名・パスワードや、名前のあとに続くものは付けないでください。
refused-repo_off = ここではリポジトリを取り込めません。このボットの運用者が接続先を許可していません（EGRESS_ALLOW）。`repo` を付けずに始めてください。
refused-too_many = 開いているセッションが { $detail } 件あり、同時にはこれ以上持てません。そのスレッドで `/claude close` を使って一つ終了してから、もう一度始めてください。
refused-too_long = 一度の依頼には長すぎます。分けて送ってください。

# --- 誰が何をできるか
server-access = { $called } <@{ $person }> さんがここで Claude を使いたいそうです。
server-access-ends = -# <t:{ $time }:R> まで受け付けます。許可された人は自分のセッションを始められます。
server-approved = ✅ <@{ $person }> さんが許可しました。
server-denied = ❌ <@{ $person }> さんが断りました。
server-expired = ⌛ 時間内に返事がありませんでした。
server-left = 🚪 <@{ $person }> さんが許可する前に、申請した人はこのサーバーから抜けていました。
server-welcome = ✅ <@{ $person }> さん、<@{ $by }> さんが許可しました。セッションを始めます。
server-confirm = 👋 <@{ $person }> さん、このサーバーの所有者はあなただと Discord が言っています。確認すると、ここで誰が Claude を使えるかを決められます。知らない人の申請はあなたに届きます。
server-confirmed = ✅ ここで誰が Claude を使えるかは <@{ $person }> さんが決めます。
server-withdrawn = ↩️ 確認は取り下げられました。
button-approve = 許可する
button-refuse = 断る
button-confirm = 私が所有者です
access-asked = まだここのメンバーではないので、オーナーに申請しました。許可されると、この依頼はそのまま実行され、お知らせします。
access-ownerless = まだここのメンバーではありません。また、ここで誰が決めるかもまだ決まっていません。この Discord サーバーの所有者が先に確認する必要があります。依頼は預かり、許可されるとそのまま実行されます。
access-confirm = このサーバーの所有者はあなただと Discord が言っています。確認すると、この依頼はそのまま実行されます。
access-denied = オーナーが申請を断りました。<t:{ $detail }:R> にもう一度申請できます。
access-expired = 申請に返事がないまま期限が過ぎました。`/claude start` でもう一度申請してください。
confirmed = あなたはここのオーナーになりました。`/claude add user` と `/claude add owner` で人を加えられます。`/claude members` でメンバーが分かります。
given-user = <@{ $detail }> さんはここで Claude を使えるようになりました。
given-owner = <@{ $detail }> さんはここのオーナーになりました。
taken-user = <@{ $detail }> さんはここで Claude を使えなくなりました。動いているものは終了し、成果はそのスレッドに渡されます。
taken-owner = <@{ $detail }> さんはオーナーではなくなりました。引き続き使うことはできます。
members-owners = **オーナー**：{ $people }
members-users = **ユーザー**：{ $people }
members-no-users = オーナーのほかにユーザーはいません。`/claude add user` で加えられます。
members-asking = **申請中**：{ $people }
sessions-title = **開いているセッション**：{ $count } 件
sessions-one = **{ $number }.** <#{ $thread }> · <@{ $person }> · <t:{ $since }:R> · { $status }
sessions-idle = · <t:{ $since }:R> から何もしていません
sessions-more = …ほかに、あとから始まったものが { $count } 件あります。
sessions-none = 開いているセッションはありません。`/claude start` で始められます。
button-end = { $number } を終了
members-more = ほか { $count } 人
refused-access_full = 申請がもうたくさん待っています。オーナーがいくつか答えたあとで、もう一度試してください。
refused-access_over = その申請はもう終わっています。誰かが答えたか、期限が過ぎました。`/claude add user` なら今からでも加えられます。
refused-access_pending = もう申請してあります。オーナーの返事はまだです。返事があればお知らせします。
refused-access_soon = 前の申請はオーナーが断りました。<t:{ $detail }:R> にもう一度申請できます。
refused-confirm_first = このサーバーの所有者はあなただと Discord が言っていますが、まだ確認されていません。確認してから、もう一度操作してください。
refused-confirm_other = それを確認できるのは、この Discord サーバーの所有者だけです。
refused-is_bot = <@{ $detail }> はボットです。メンバーになれるのは人だけです。
refused-is_member = <@{ $detail }> さんはもうそうなっています。
refused-is_owner = <@{ $detail }> さんはオーナーです。`/claude delete owner` でユーザーに戻し、そのあと `/claude delete user` で外せます。
refused-leaving = <@{ $detail }> さんはたった今外されたところで、そのセッションの終了を伝えています。少し待ってから、もう一度試してください。
refused-left = <@{ $detail }> さんはもうこのサーバーにいません。申請は終わりとなり、誰も加わっていません。戻ってきたら `/claude start` でもう一度申請できます。
refused-last_owner = 最後のオーナーは外せません。人を加えられる人がいなくなります。先に `/claude add owner` で別のオーナーを加えてください。
refused-not_here = <@{ $detail }> さんはこのサーバーにいません。先に招待してください。
refused-not_member = <@{ $detail }> さんはメンバーではありません。`/claude members` でメンバーが分かります。
refused-not_owner = <@{ $detail }> さんはオーナーではなくユーザーです。`/claude delete user` を使ってください。
refused-owners_only = それができるのはオーナーだけです。`/claude members` でオーナーが分かります。
refused-starter_only = このセッションは共有されています。書くこと、答えること、止めること、自分が書いたものを取り消すことができます。それ以外は、始めた人とオーナーだけができます。
refused-unsure = <@{ $detail }> さんがまだこのサーバーにいるかどうか、いま Discord から返事がありません。何も変わっておらず、申請もそのままです。少し待ってからもう一度押してください。
refused-stranger = あなたはここのメンバーではありません。`/claude start` で申請してください。

# the story, for owners (story.py)
story-head = **{ $turns } ターン**、{ $events } イベント。全部は `discord-claude audit` で見られます。
story-earlier = … これより前に { $count } 行あります
story-erased = （消去済み）
story-nobody = 誰でもない
story-requested = { $person } さんがセッションを頼みました
story-stranger = { $person } さんはメンバーではなく、申請しました
story-thread = { $what ->
    [archived] スレッドがアーカイブされました
    [unarchived] スレッドがまた開かれました
    [locked] スレッドがロックされました
    [unlocked] スレッドのロックが外されました
    [deleted] スレッドが削除されました
   *[forbidden] ⚠️ スレッドに書けなくなりました
}（{ $person }）
story-shared = 🤝 { $person } さんがセッションを共有しました。ユーザー全員がここに書けます
story-unshared = { $person } さんが共有をやめました
story-left = { $person } さんが列から抜けました
story-crowded = 列に入れません: 始めた人のサンドボックスが一人分の上限に達しています
story-idle = 待っている人がいるのに何も起きていないため、このまま使うかをたずねました
story-kept = { $person } さんがこのまま使います
story-walls = ⚠️ サンドボックスから届いてはいけないところに届きます: { $walls }
story-gone = サンドボックスが片付きました
story-edited = ✏️ { $person } さん: { $text }
story-resolved = { $person } さんが{ $choice ->
    [retry] ターン { $turn } の依頼をやり直します
   *[continue] ターン { $turn } の続きを進めます
}
story-egress = 🚧 { $host } には接続できませんでした
story-waits = { $place } 番目に並びました
story-repo = 📥 { $repo } を頼みました
story-cloned = 📥 { $repo } を取り込みました
story-uncloned = ⚠️ リポジトリを取り込めませんでした：{ $why }
story-ready = サンドボックスの準備ができました
story-lost = ⚠️ サンドボックスが失われました（{ $why }）
story-prompt = 💬 { $person } さん: { $text }
story-removed = { $person } さんがプロンプトを取り消しました
story-budget = 💰 { $person } さんは今日使える分のほとんどを使いました
story-stop = 🛑 { $person } さんがターンを止めました
story-asked = ❓ { $tool }: { $question }
story-answered = { $person } さんが { $tool } を{ $choice ->
    [allow] 許可しました
    [always] 今後もずっと許可しました
   *[deny] 拒否しました
}
story-expired = { $tool } には期限までに誰も答えず、拒否になりました
story-turn = ターン { $turn } は{ $outcome ->
    [completed] 終わりました ✅
    [stopped] 止められました
   *[failed] 失敗しました ❌ { $reason }
}
story-cut = ⚠️ ターン { $turn } は途中で切れました
story-refused = 🚫 { $person } さんは断られました: { $reason }
story-failed = ❌ あきらめました: { $what }（{ $why }）
story-close = { $person } さんがセッションを閉じます
story-handed = { $count } 個のファイルを渡しました
story-closed = 終了しました
