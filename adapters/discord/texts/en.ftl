# Every text that people read in Discord. `ja.ftl` has the same ids.

# --- commands
cmd-claude = Claude Code in this server
cmd-start = Start a session in a thread of its own
cmd-start-prompt = What Claude should do first
cmd-start-repo = A git repository to begin with: https://… or OWNER/NAME at GitHub
cmd-stop = Stop what Claude is doing in this thread
cmd-status = How this session stands
cmd-audit = What happened in this session (owners)
cmd-close = End this session: you get the patch and the transcript, the sandbox goes
cmd-share = Let every user of this server write, answer and stop in this thread
cmd-unshare = Only you and the owners act in this thread again
cmd-members = Who may use Claude here
cmd-sessions = What runs in this server, with a way to end each session (owners)
cmd-add = Let somebody use Claude here
cmd-add-user = Let somebody use Claude here
cmd-add-owner = Make somebody an owner: they let others in, and may act in every session
cmd-delete = Take back what somebody may do here
cmd-delete-user = Remove somebody: their sessions end, and they may no longer use Claude here
cmd-delete-owner = Make a user of an owner
option-person = Who

# --- the thread
starter = <@{ $person }> started a session with Claude.
thread-name = Claude · { $about }
head-title = **Claude Code**
head-waiting = { $place ->
    [1] ⏳ Waiting for a free sandbox: you are next in the line.
   *[other] ⏳ Waiting for a free sandbox, place { $place } in the line.
}
head-left = ⏸️ Not in the line any more. Write a message to stand in it again, at its end.
head-asking = ⏳ Asking for a sandbox…
head-provisioning = ⚙️ The sandbox is coming up…
head-cloning = ⚙️ The sandbox is coming up, and your repository is cloned into it…
head-retrying = ⚙️ The sandbox is coming up… that did not work yet (try { $attempt }), trying again.
head-ready = ✅ Ready. Write a message in this thread to give Claude something to do.
head-broken = ❌ Claude Code does not start here. Write a message to try once more, or close the session.
head-working = 💭 Claude is working.
head-awaiting = ✋ Claude waits for your decision below.
head-lost = ⚠️ The sandbox is gone. Write a message to go on in a new one.
head-passed = ⏸️ The sandbox went to the next in the line. Write a message to stand in it again.
head-uncloned = ⚠️ Your repository could not be cloned. Write a message to try again, or close the session.
head-closing = 📦 Ending the session…
head-closed = 🏁 This session is closed.
head-model = -# { $model }
head-shared = -# 🤝 Shared: every user of this server may write, answer and stop here.
head-unwalled = -# ⚠️ This sandbox is only a folder on this machine: it is not walled off.
head-open-walls = -# ⚠️ This sandbox is not walled off: it reaches { $walls }. Whoever runs this bot has allowed that (SANDBOX_ISOLATION).
wall-api = the cluster's API server
wall-kubelet = its node
wall-metadata = the cloud's metadata service
wall-sandbox = other sandboxes
wall-outside = the internet
wall-database = the database
wall-bot = the bot
wall-dns = DNS
wall-ipv6 = the internet (IPv6)
button-close = Close
button-leave = Leave the line

# --- a turn
turn-working = -# 💭 working for <@{ $person }> · started <t:{ $since }:R>
turn-asking = -# ✋ waiting for a decision
turn-stopping = -# 🛑 stopping…
turn-completed = -# ✅ done · { $took }
turn-stopped = -# 🛑 Stopped by <@{ $person }> · { $took }
turn-stopped-by-itself = -# 🛑 Stopped · { $took }
turn-failed = -# ❌ failed ({ $reason }) · { $took }
turn-cut = -# ✂️ cut off after { $took }: outcome unknown
unshowable = -# ⚠️ Discord does not take what stood here.
turn-silent = (nothing was said)
duration = { $minutes ->
    [0] { $seconds } s
   *[other] { $minutes } min { $seconds } s
}
tool-more = { $count ->
    [one] one more line
   *[other] { $count } more lines
}
retrying = -# ⏳ The model did not answer ({ $status }); try { $attempt } of { $limit }.
retrying-no-answer = no answer
skipped-broken = -# ⚠️ Claude printed a line that could not be read.
skipped-too_long = -# ⚠️ Claude printed a line that is too long to be read (more than 16 MB).
disk-filled = ⚠️ The sandbox's disk is { $percent } % full.
memory-filled = ⚠️ The sandbox's memory is { $percent } % full. At 100 % something that runs in it is ended: ask for less at once.
disk-stopped = 🛑 The sandbox's disk is { $percent } % full, so Claude was stopped before anything is lost. Ask for less, or close the session.
notice-info = ℹ️ { $text }
notice-denied = 🚫 { $text }
notice-fallback = 🔀 { $text }
notice-compacted = 🗜️ The conversation got long and was summarised.
notice-cleared = 🧹 The conversation was cleared.
notice-error = ⚠️ { $text }
button-stop = Stop

# --- decisions
ask-title = ✋ <@{ $person }>, Claude wants to use **{ $tool }**:
ask-cut = ⚠️ **{ $count } more characters are not shown.** Deny if you are not sure.
ask-reason = -# Why it asks: { $reason }
ask-path = -# Where: { $path }
ask-erased = (the text was erased)
ask-allowed = ✅ Allowed by <@{ $person }>
ask-always = ✅ Allowed for the rest of this session by <@{ $person }>
ask-denied = ❌ Denied by <@{ $person }>
ask-expired = ⌛ Nobody answered in time: denied.
ask-withdrawn = ↩️ No longer asked.
ask-expires = -# Denied by itself <t:{ $time }:R>
button-allow = Allow
button-always = Always allow
button-deny = Deny

# --- the queue
queued = ⏳ Queued: { $text }
button-remove = Remove

# --- a cut turn
cut = ✂️ <@{ $person }>, Claude was cut off in the middle, and nobody knows how far it got. Part of the work may be done.
    **Continue** asks Claude to look and go on; **Retry** gives the same prompt again.
cut-why-cli = -# Claude Code ended.
cut-why-journal = -# The sandbox started again.
cut-why-sandbox = -# The sandbox was lost.
cut-why-send = -# The prompt may or may not have reached Claude Code.
cut-why-answer = -# Claude Code says it is done, but no answer came.
cut-continue = ▶️ <@{ $person }> chose to continue.
cut-retry = 🔁 <@{ $person }> chose to retry.
cut-prompt = ▶️ <@{ $person }> went on with a new prompt.
button-continue = Continue
button-retry = Retry
continue-prompt = You were cut off in the middle of your last turn, and its outcome is unknown. Look at what is already done before you do anything again, then go on.

# --- a sandbox that others wait for
idle = 💤 <@{ $person }>, others wait for a sandbox, and nothing has happened in this one since <t:{ $since }:R>. **Keep** it, or **close** the session and get its patch and transcript? Without an answer nothing changes.
idle-kept = 👍 <@{ $person }> keeps it. I ask again after another 15 idle minutes, if somebody waits then.
idle-over = ↩️ No longer asked.
button-keep = Keep

# --- notes
note-sandbox-lost = ⚠️ <@{ $person }>, the sandbox was lost ({ $detail }). What was only in it is gone. Write a message to go on in a new one, or close the session.
note-sandbox-unwalled = 🧱 <@{ $person }>, no sandbox for now. Before anything of yours was in it, it was tried from inside: it reaches { $detail }, and must not. So it is removed and was not used. Whoever runs this bot has to look into the network policies of the cluster; then write a message to try again.
note-sandbox-refused = ❌ <@{ $person }>, no sandbox can be made as things are. Whoever runs this bot has to look into it; then write a message to try again, or close the session.
reason = -# { $reason }
lost-refused = it cannot be made
lost-gone = it disappeared
lost-start = it did not come up in time
lost-memory = it ran out of memory
lost-evicted = the cluster took its place away
lost-repo = its repository could not be cloned
lost-walls = it is not walled off
lost-node = its machine does not answer any more
note-cli-broken = ❌ <@{ $person }>, Claude Code ended three times in a row (status { $detail }) and was not started again. Write a message to try once more.
note-repo-cloned = 📥 Your repository is here:
note-repo-untrusted = 📥 Your repository is here. It brings things that Claude Code would run or obey by itself ({ $detail }). They are **not used**; its CLAUDE.md is. Whoever runs this bot can trust it (REPO_TRUST).
note-repo-trusted = 📥 Your repository is here. It brings things that Claude Code runs or obeys by itself ({ $detail }). They **are used**: whoever runs this bot trusts it (REPO_TRUST).
note-repo-failed = ❌ <@{ $person }>, your repository could not be cloned: { $detail }. What you asked for has not begun. Write a message to try again, or close the session and start another.
repo-not_found = there is none at that address
repo-auth = there is none at that address, or it is private and this installation may not read it
repo-host = I may not clone from that host
repo-moved = it has moved elsewhere
repo-size = it is too large for the disk of a sandbox
repo-time = it took longer than a sandbox may take to start
repo-broken = git did not get to the end
code-settings = settings and hooks: `.claude/settings.json`
code-mcp = MCP servers: `.mcp.json`
code-prompts = commands, skills or agents: `.claude/`
note-egress-refused = 🚧 This sandbox was not let out to a host that is not on the list of this installation. Whoever runs this bot can add it (EGRESS_ALLOW):
note-turn-completed = 🔔 <@{ $person }>, Claude is done.
note-turn-failed = ❌ <@{ $person }>, the turn failed ({ $detail }). Write a message to go on.
note-handover-kept = ⚠️ The files of this session could not be posted here. They are kept: whoever runs me gets them with `discord-claude files { $detail }`.
note-handover-lost = ⚠️ The sandbox was gone before its files could be posted.
note-disk-filled = ⚠️ <@{ $person }>, the sandbox's disk is { $detail } % full.
note-memory-filled = ⚠️ <@{ $person }>, the sandbox's memory is { $detail } % full. At 100 % something that runs in it is ended: ask for less at once.
note-disk-stopped = 🛑 <@{ $person }>, the sandbox's disk is { $detail } % full, so Claude was stopped before anything is lost. Ask for less, or close the session.
note-shared = 🤝 <@{ $detail }> shared this session: every user of this server may write, answer and stop here.
note-unshared = 🔒 <@{ $detail }> no longer shares this session: only the person who started it, and owners, act in it.
note-budget-neared = 💰 <@{ $person }>, you have used { $detail } % of what you may use today. It begins anew at midnight UTC.
note-slot-passed = ⏸️ <@{ $person }>, nobody asked for anything here for 10 minutes while others waited, so the sandbox went to the next in the line. Write a message to stand in it again.
note-crowded = ⏸️ <@{ $person }>, you have as many sandboxes already as one person may, or wait for them, so this session does not stand in the line. Close another with `/claude close`, then write a message here.
note-removed = 🚪 <@{ $detail }> removed <@{ $person }> from those who may use Claude here, so this session ends. What it made follows.
handover = 📦 What this session made: patch and transcript.
handover-nothing = 📦 This session left no files. Here is its transcript.
handover-parts = -# Files that are too large for Discord come in parts: `cat NAME.part* > NAME` puts one together.
handover-left-out = -# ⚠️ { $count ->
    [one] One file is
   *[other] { $count } files are
} too large for Discord, even in parts.

# --- answers to one person
started = Your session: <#{ $thread }>
start-failed = The thread could not be made: I may not be allowed to post or make threads in this channel. Ask who runs this server, then try again.
status-turn = 💭 Working for <@{ $person }>, started <t:{ $since }:R>.
status-tasks = Background tasks: { $count }
status-usage = Sandbox: { $parts }
status-cpu = CPU { $percent } % of its limit
status-cpu-core = CPU { $percent } % of a core
status-memory = memory { $used } of { $limit } MiB ({ $percent } %)
status-memory-bare = memory { $used } MiB
status-disk = disk { $percent } % full
status-queue = Prompts waiting: { $count }
shared = Every user of this server may write, answer and stop in this thread now. `/claude unshare` ends that.
unshared = Only the person who started this session, and owners, act in it now.
stop-asked = 🛑 Claude stops. What it has done so far stays.
stopping = Claude is stopping already.
closing = Ending the session. You get the patch and the transcript in the thread.
not-recorded = That was **not recorded**: the database is away. Nothing happened. Please try again in a moment.
waiting-for-database = ⏳ The database is away. What you write here waits, nothing is lost, and work goes on when it is back.
elsewhere = I do not work in this server.
refused-already = That was done already.
refused-budget = What you may use in a day, about ${ $detail }, is used up. It begins anew at midnight UTC. Write again then, or ask an owner whether your budget can be raised.
refused-closed = This session is closed. Start another with `/claude start`.
closed-hint = 🏁 This session is closed. To go on with something new, start another:
button-again = Start again
refused-empty = There is nothing in that message that I can give to Claude. Write some text.
refused-expired = That question is no longer open.
refused-in_session = This thread has its session. What you write here is for Claude while it is open; for another session use `/claude start` in a channel.
refused-malformed = I do not understand that button or command. It may be from an older version; use a newer message.
refused-no_session = That works in the thread of a session only. Start one with `/claude start`.
refused-not_cut = That was decided already.
refused-not_queued = That prompt no longer waits: Claude has it already, or it was removed.
refused-not_running = There is nothing to stop (any more).
refused-not_waiting = This session does not wait in the line (any more).
refused-not_yours = Only the person who started this session, and owners, decide in it. They can share it with `/claude share`; or start your own with `/claude start`.
refused-queue_full = { $detail } prompts are waiting already. Remove one, or wait.
refused-repo_host = I may not clone from that host. Allowed here: { $detail }. Whoever runs this bot can add others (EGRESS_ALLOW).
refused-repo_invalid = That is no repository that I can clone. Write its address, as `https://github.com/OWNER/NAME`, or `OWNER/NAME` for GitHub: without user, password, or anything behind the name.
refused-repo_off = I may not clone repositories here: whoever runs this bot has not allowed any host for it (EGRESS_ALLOW). Start without `repo`.
refused-too_many = Your open sessions: { $detail }. One person may not have more at once. Close one with `/claude close` in its thread, then start again.
refused-too_long = That is too long for one prompt. Send it in parts.

# --- who may do what
server-access = { $called } <@{ $person }> would like to use Claude here.
server-access-ends = -# Open until <t:{ $time }:R>. Whoever is let in can start sessions of their own.
server-approved = ✅ <@{ $person }> let them in.
server-denied = ❌ <@{ $person }> said no.
server-expired = ⌛ Nobody answered in time.
server-left = 🚪 They had left this server before <@{ $person }> could let them in.
server-welcome = ✅ <@{ $person }>, <@{ $by }> let you in. Your session is starting.
server-confirm = 👋 <@{ $person }>, Discord says that this server is yours. Confirm, and you decide who may use Claude here: strangers ask you, and you say yes or no.
server-confirmed = ✅ <@{ $person }> decides who may use Claude here.
server-withdrawn = ↩️ No longer asked.
button-approve = Approve
button-refuse = Deny
button-confirm = I own this server
access-asked = You are not known here yet, so I have asked the owners. When one of them says yes, your request runs by itself, and I call you.
access-ownerless = You are not known here yet, and nobody has said who decides here: the owner of this Discord server has to confirm that first. Your request is kept and runs by itself when they let you in.
access-confirm = Discord says that this server is yours. Confirm it, and your request runs by itself.
access-denied = An owner said no to your request. You can ask again <t:{ $detail }:R>.
access-expired = Nobody answered your request in time. Ask again with `/claude start`.
confirmed = You are an owner here now. `/claude add user` and `/claude add owner` let others in; `/claude members` shows who is.
given-user = <@{ $detail }> may use Claude here now.
given-owner = <@{ $detail }> is an owner here now.
taken-user = <@{ $detail }> may no longer use Claude here. What they have running ends, and is handed over in its thread.
taken-owner = <@{ $detail }> is no longer an owner, and still a user.
members-owners = **Owners**: { $people }
members-users = **Users**: { $people }
members-no-users = No users besides the owners. Let somebody in with `/claude add user`.
members-asking = **Asking to be let in**: { $people }
sessions-title = **Open sessions**: { $count }
sessions-one = **{ $number }.** <#{ $thread }> · <@{ $person }> · <t:{ $since }:R> · { $status }
sessions-idle = · idle since <t:{ $since }:R>
sessions-more = … and { $count } more, begun later.
sessions-none = No session is open. `/claude start` starts one.
button-end = Close { $number }
members-more = and { $count } more
refused-access_full = Too many people wait to be let in already. Try again when the owners have answered some of them.
refused-access_over = That request is over: somebody answered it, or its time has passed. `/claude add user` lets them in all the same.
refused-access_pending = You have asked already; the owners have not answered yet. I call you when they do.
refused-access_soon = An owner said no to your last request. You can ask again <t:{ $detail }:R>.
refused-confirm_first = Discord says that this server is yours, and you have not confirmed it yet. Confirm it, then do that again.
refused-confirm_other = Only the owner of this Discord server can confirm that.
refused-is_bot = <@{ $detail }> is a bot. Only people can be members.
refused-is_member = <@{ $detail }> is that already.
refused-is_owner = <@{ $detail }> is an owner. `/claude delete owner` makes a user of an owner, then `/claude delete user` removes them.
refused-leaving = <@{ $detail }> was removed a moment ago, and their sessions are still being told. Try again in a moment.
refused-left = <@{ $detail }> is not in this server any more, so their request is over and nobody was let in. If they come back, they can ask again with `/claude start`.
refused-last_owner = You cannot remove the last owner: nobody could let people in. Make somebody else an owner first, with `/claude add owner`.
refused-not_here = <@{ $detail }> is not in this server. Invite them first.
refused-not_member = <@{ $detail }> is not a member. `/claude members` shows who is.
refused-not_owner = <@{ $detail }> is a user, not an owner. Use `/claude delete user`.
refused-owners_only = Only owners can do that. `/claude members` shows who they are.
refused-starter_only = This session is shared: you may write, answer and stop in it, and take back what you wrote. The rest is for the person who started it, and for owners.
refused-unsure = Discord does not say right now whether <@{ $detail }> is still in this server. Nothing has changed, and the request stays open: press again in a moment.
refused-stranger = You are not a member here. Ask to be let in with `/claude start`.

# the story, for owners (story.py)
story-head = **{ $turns ->
    [one] One turn
   *[other] { $turns } turns
}**, { $events } events. All of it: `discord-claude audit`.
story-earlier = … { $count } lines before that
story-erased = (erased)
story-nobody = nobody
story-requested = { $person } asked for a session
story-stranger = { $person } is no member and asks to be let in
story-thread = { $what ->
    [archived] the thread was archived
    [unarchived] the thread was opened again
    [locked] the thread was locked
    [unlocked] the thread was unlocked
    [deleted] the thread was deleted
   *[forbidden] ⚠️ I may not write in the thread any more
} ({ $person })
story-shared = 🤝 { $person } shares the session: all users may write here
story-unshared = { $person } no longer shares the session
story-left = { $person } leaves the line
story-crowded = not in the line: its starter has as many sandboxes as one person may
story-idle = nothing happens while others wait: asked whether to keep the sandbox
story-kept = { $person } keeps the sandbox
story-walls = ⚠️ the sandbox reaches what it must not: { $walls }
story-gone = the sandbox is gone
story-edited = ✏️ { $person }: { $text }
story-resolved = { $person } { $choice ->
    [retry] has the prompt of turn { $turn } tried again
   *[continue] goes on after turn { $turn }
}
story-egress = 🚧 not let out to { $host }
story-waits = in the line, place { $place }
story-repo = 📥 asked for { $repo }
story-cloned = 📥 cloned { $repo }
story-uncloned = ⚠️ the repository was not cloned: { $why }
story-ready = the sandbox is ready
story-lost = ⚠️ the sandbox was lost ({ $why })
story-prompt = 💬 { $person }: { $text }
story-removed = { $person } took a prompt back
story-budget = 💰 { $person } has used most of today's budget
story-stop = 🛑 { $person } stopped the turn
story-asked = ❓ { $tool }: { $question }
story-answered = { $person } { $choice ->
    [allow] allowed { $tool }
    [always] allowed { $tool } for good
   *[deny] denied { $tool }
}
story-expired = nobody answered about { $tool } in time: denied
story-turn = turn { $turn } { $outcome ->
    [completed] is done ✅
    [stopped] was stopped
   *[failed] failed ❌ { $reason }
}
story-cut = ⚠️ turn { $turn } was cut off
story-refused = 🚫 { $person } was refused: { $reason }
story-failed = ❌ given up: { $what } ({ $why })
story-close = { $person } closes the session
story-handed = handed over, { $count } files
story-closed = closed
