/** Errors of one agent run: model, context engine, tools, approval. */
export const AGENT_ERRORS = {
  DUR_MODEL_UNKNOWN: { message: "no provider offers the model '{ref}'", hint: 'Run `durar models list`, then `durar config set agents.defaults.model <ref>`.' },
  DUR_MODEL_NONE: {
    message: 'no model is configured',
    hint: 'Run `durar config set agents.defaults.model <provider>/<model>`; offline/echo needs no account.',
  },
  DUR_MODEL_NOT_ALLOWED: { message: "the model '{ref}' is not in agents.defaults.models", hint: 'Add it there, or choose one of those listed.' },
  DUR_MODEL_AUTH: { message: "the provider '{provider}' has no credential", hint: 'Run `durar models auth add --provider {provider}`, or set {env}.' },
  DUR_MODEL_API: {
    message: "the model '{ref}' speaks '{api}', which no installed extension offers",
    hint: 'Install a provider extension that does, or correct models.providers.',
  },
  DUR_PROVIDER_UNKNOWN: { message: "no provider '{provider}' offers a model", hint: 'Run `durar models list` to see those that do.' },
  DUR_PROVIDER_FAILED: {
    message: "the provider '{provider}' failed: {reason}",
    hint: "The message is the provider's own; try again or choose another model.",
    retry: true,
  },
  DUR_PROVIDER_STALLED: { message: "the provider '{provider}' sent nothing for {ms} ms", hint: 'Try again or choose another model.', retry: true },
  DUR_PROVIDER_STREAM: { message: "the provider '{provider}' broke its stream: {reason}", hint: 'Report it to the author of the extension.' },
  DUR_ENGINE_FAILED: {
    message: "the context engine '{engine}' failed in {method}: {reason}",
    hint: 'Fix it, or run `durar config set plugins.slots.contextEngine legacy`.',
  },
  DUR_ENGINE_TIMEOUT: {
    message: "the context engine '{engine}' did not answer {method} within {ms} ms",
    hint: 'Fix it, or run `durar config set plugins.slots.contextEngine legacy`.',
  },
  DUR_ENGINE_RESULT: {
    message: "the context engine '{engine}' returned an unusable {method} result: {reason}",
    hint: 'Fix it, or run `durar config set plugins.slots.contextEngine legacy`.',
  },
  DUR_ENGINE_BUDGET: {
    message: "the context engine '{engine}' returned about {tokens} tokens for a budget of {budget}",
    hint: 'Run `durar sessions compact <key>`, or choose another engine.',
  },
  DUR_CONTEXT_OVERFLOW: {
    message: 'the conversation does not fit the model: {reason}',
    hint: 'Start a new session with `durar agent --session <name>` or /new in `durar chat`, or choose a model with a larger window.',
  },
  DUR_COMPACTION_DELEGATE: { message: 'compaction cannot be delegated here: {reason}', hint: 'Pass the params of compact() on unchanged.' },
  DUR_COMMAND_FAILED: {
    message: 'the command /{name} failed: {reason}',
    hint: 'Look at the log of the gateway; `durar plugins inspect <id>` tells about its extension.',
  },
  DUR_RUN_ABORTED: { message: 'the run was aborted', hint: 'Send the message again to start over.' },
  DUR_RUN_STEERED: { message: 'the user sent a new message before this call ended', hint: 'Read the message; call the tool again if it is still needed.' },
  DUR_RUN_TIMEOUT: { message: 'the run did not end within {seconds} s', hint: 'Raise agents.defaults.timeoutSeconds.', retry: true },
  DUR_RUN_GIVEN_UP: {
    message: 'the message was given up: the gateway ended {attempts} times while it was answered',
    hint: 'Run `durar queue list`, then `durar queue retry <id>` or `durar queue drop <id>`.',
  },
  DUR_RUN_INTERRUPTED: { message: 'the gateway restarted while the command was carried out', hint: 'Look at what it has changed, then send it again.' },
  DUR_QUEUE_FULL: {
    message: 'the message was dropped: {cap} others wait in its session',
    hint: 'Wait for the answer and send it again, or raise messages.queue.cap.',
    retry: true,
  },
  DUR_QUEUE_UNKNOWN: { message: "nothing with the id '{id}' is in the queue", hint: 'Run `durar queue list` to see what is.' },
  DUR_QUEUE_NOT_DEAD: {
    message: "the message '{id}' waits its turn; only what was given up can be retried",
    hint: 'Wait, or take it out with `durar queue drop <id>`.',
  },
  DUR_RUN_UNKNOWN: { message: "there is no run '{runId}'", hint: 'Results are kept for ten minutes.' },
  DUR_TURN_UNKNOWN: {
    message: "the session '{key}' has no record of the turn '{turn}'",
    hint: 'Name a run id, `last`, or a place like -2; `durar context turns` lists what is kept.',
  },
  DUR_AGENT_UNKNOWN: { message: "there is no agent '{id}'", hint: 'Run `durar config get agents.list`.' },
  DUR_CHANNEL_UNKNOWN: { message: 'unsupported channel: {channel}', hint: 'Configure it under channels.{channel}, or name another channel.' },
  DUR_CHANNEL_ACCOUNT: { message: "the channel '{channel}' has no account '{accountId}'", hint: 'Name one of the accounts under channels.{channel}.' },
  DUR_CHANNEL_NO_TEXT: { message: "the channel '{channel}' cannot send messages by itself", hint: 'Name another channel.' },
  DUR_CHANNEL_NO_MEDIA: { message: "the channel '{channel}' cannot send media", hint: 'Send a link in the text instead.' },
  DUR_CHANNEL_NO_POLL: { message: 'unsupported poll channel: {channel}', hint: 'Ask in a message instead.' },
  DUR_CHANNEL_POLL_OPTIONS: { message: "a poll of '{channel}' has at most {most} options", hint: 'Leave some out.' },
  DUR_CHANNEL_SLOW: { message: "the channel '{channel}' did not answer within {seconds} s", hint: 'Run `durar channels status --probe`.', retry: true },
  DUR_CHANNEL_ACTION_INPUT: { message: "the action '{action}' needs '{missing}'", hint: 'Name it.' },
  DUR_CHANNEL_ACTION_UNKNOWN: {
    message: "the channel '{channel}' has no action '{action}' (it has {known})",
    hint: 'Use one of these; channels.{channel}.actions may switch some off.',
  },
  DUR_CHANNEL_CROSS_CONTEXT: {
    message: "a run of another conversation may not {action} to '{to}' on '{channel}'",
    hint: 'Answer in your own conversation; an operator can allow others with tools.message.crossContext.',
  },
  DUR_CHANNEL_CANCELLED: { message: "the message to '{channel}' was cancelled by an extension", hint: 'See which extension taps message_sending.' },
  DUR_SUBAGENT_DEPTH: {
    message: 'a sub-agent at depth {depth} may not start another one',
    hint: 'Do the task here, or raise agents.defaults.subagents.maxSpawnDepth (2 at most).',
  },
  DUR_SUBAGENT_CHILDREN: {
    message: 'this session has {count} sub-agents at work, and no more are allowed',
    hint: 'Wait for one to report or kill one; agents.defaults.subagents.maxChildrenPerAgent is the limit.',
  },
  DUR_SUBAGENT_AGENT: {
    message: "the agent '{requester}' may not start sub-agents of '{agent}'",
    hint: 'Name one of those that agents_list shows, or add it to agents.list[].subagents.allowAgents.',
  },
  DUR_SUBAGENT_AGENT_NEEDED: {
    message: 'an agent has to be named for a sub-agent',
    hint: 'Give agentId; agents.defaults.subagents.requireAgentId asks for it.',
  },
  DUR_SUBAGENT_UNSUPPORTED: { message: '{what} is not available here', hint: '{instead}' },
  DUR_SUBAGENT_REFUSED: { message: 'an extension refused the sub-agent: {reason}', hint: 'Do the task here, or ask the user.' },
  DUR_SUBAGENT_UNKNOWN: { message: "there is no sub-agent '{id}' of this session", hint: 'List the sub-agents, and use an id that is shown.' },
  DUR_SUBAGENT_TASK: { message: 'a sub-agent needs a task', hint: 'Say in full what it has to do; it does not see this conversation.' },
  DUR_TOOL_UNKNOWN: { message: "there is no tool '{name}'", hint: 'Use one of the tools offered.' },
  DUR_TOOL_PARAMS: { message: "the arguments of '{name}' are invalid: {reason}", hint: 'Correct the arguments.' },
  DUR_TOOL_FAILED: { message: "the tool '{name}' failed: {reason}", hint: 'Read the message and try another way.' },
  DUR_TOOL_BLOCKED: { message: "the call of '{name}' was blocked: {reason}", hint: 'Ask the user before trying again.' },
  DUR_APPROVAL_DENIED: { message: '{reason}', hint: 'Ask the user before trying again.' },
  DUR_SECRET_UNRESOLVED: { message: "the secret of '{path}' cannot be resolved: {reason}", hint: 'Check the source; nothing was changed.' },
  DUR_SECRET_UNSUPPORTED: {
    message: "'{path}' holds a secret reference, and this field takes none",
    hint: 'Write the value itself; docs/reference/secret-surface.md lists the fields that take a reference.',
  },
  DUR_SECRET_OAUTH: {
    message: "'{path}' holds a secret reference, and a sign-in by oauth cannot come from one",
    hint: 'Sign in, or use a profile with the mode api_key or token.',
  },
  DUR_SECRETS_PLAN: { message: 'the plan cannot be used: {reason}', hint: 'Make one with `durar secrets configure --plan-out <file>`; nothing was changed.' },
  DUR_SECRETS_PLAN_TARGET: {
    message: 'Invalid plan target path for {type}: {path}',
    hint: 'docs/reference/secret-surface.md lists the fields that take a reference; nothing was changed.',
  },
  DUR_SECRETS_EXEC: {
    message: 'the plan has references or providers that run a command',
    hint: 'Look at the commands in the plan, then repeat it with --allow-exec; nothing was changed.',
  },
  DUR_SECRETS_FILE: { message: "'{file}' cannot be looked through: {reason}", hint: 'Repair or remove it; nothing was changed.' },
  DUR_SECRETS_REFUSED: {
    message: 'the running gateway refused the result: {reason}',
    hint: 'The files are as they were; correct the reason, which concerns the environment of that gateway, and repeat the command.',
  },
  DUR_SECRETS_APPLY: { message: "cannot write '{file}': {reason}", hint: '{outcome}' },
  DUR_SECRET_SOURCE: { message: "no installed extension serves the secret source '{source}'", hint: 'Install one, or correct secrets.providers.' },
} as const;
