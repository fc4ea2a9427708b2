/** Errors of who may talk to the agent through channels, and of what they send. */
export const CHANNEL_ERRORS = {
  DUR_CHANNEL_ALLOWLIST_EMPTY: {
    message: "{path}.dmPolicy is 'allowlist', and {path}.allowFrom names nobody",
    hint: 'Run `durar config set {path}.allowFrom \'["<id>"]\'`, or set dmPolicy to pairing.',
  },
  DUR_CHANNEL_OPEN_UNSAID: {
    message: "{path}.dmPolicy is 'open', and {path}.allowFrom does not name '*'",
    hint: 'Add "*" to {path}.allowFrom when everybody may talk to the agent, or set dmPolicy to pairing.',
  },
  DUR_CHANNEL_MENTION_PATTERN: {
    message: "the mention pattern '{pattern}' of {path} is not used: {reason}",
    hint: 'Write it without repetition inside repetition.',
  },
  DUR_CHANNEL_BINDING_AGENT: {
    message: "bindings[{index}] names the agent '{agentId}', which does not exist",
    hint: 'Name one of agents.list; the default agent answers until then.',
  },
  DUR_CHANNEL_MEDIA_SIZE: { message: "'{name}' has more than {mb} MB", hint: 'Raise mediaMaxMb of the channel, or send less.' },
  DUR_CHANNEL_MEDIA_COUNT: { message: 'a message brings more than {most} files', hint: 'Send the rest in another message.' },
  DUR_CHANNEL_NO_LOGIN: {
    message: "the channel '{channel}' is configured, not logged in to: it has no {what}",
    hint: 'Set it up with `durar channels add {channel}`, or take it away with `durar channels remove {channel}`.',
  },
  DUR_CHANNEL_NO_RESOLVER: {
    message: "the channel '{channel}' cannot look names up",
    hint: 'Give the id of the person or the room, as the documentation of the channel spells it.',
  },
  DUR_CHANNEL_NOT_OFFERED: { message: "no extension offers the channel '{channel}'", hint: '{hint}' },
  DUR_CHANNEL_EXTENSION_OFF: {
    message: "the extension '{id}' of the channel '{channel}' is off ({reason})",
    hint: 'Run `durar plugins enable {id}`.',
  },
  DUR_CHANNEL_NO_SETUP: {
    message: "the channel '{channel}' cannot be set up by questions",
    hint: 'Write its block with `durar config set channels.{channel} ...`.',
  },
  DUR_CHANNEL_SETUP: { message: "the channel '{channel}' is not set up: {reason}", hint: '{hint}' },
  DUR_PAIRING_UNKNOWN: {
    message: 'no pairing request of {where} has this code',
    hint: 'Run `durar pairing list` to see the codes; one is good for an hour.',
  },
  DUR_PAIRING_LOCKED: { message: 'too many wrong pairing codes', hint: 'Try again in {minutes} minutes.', retry: true },
  DUR_PAIRING_SENDER: { message: "'{senderId}' was not let in to '{channel}' by a pairing code", hint: 'Run `durar pairing list` to see who was.' },
} as const;
