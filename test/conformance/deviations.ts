/** Where this gateway answers otherwise than the recordings in `frames/`, each with the decision behind it. */
export interface Deviation {
  /** recording */
  file: string;
  /** Which handshake of that recording, from 0. */
  group: number;
  why: string;
  /** What is answered instead. */
  answer: { ok: boolean; error?: Record<string, unknown> };
}

export const HANDSHAKE_DEVIATIONS: readonly Deviation[] = [
  { file: '08', group: 2, why: 'AMB-035: unknown client ids are accepted', answer: { ok: true } },
  {
    file: '10',
    group: 0,
    why: 'AMB-064: every client sends a device',
    answer: { ok: false, error: { code: 'NOT_PAIRED', message: 'device identity required', details: { code: 'DEVICE_IDENTITY_REQUIRED' } } },
  },
];

/** Members of the recorded `hello-ok` that are not sent, by the part of the product that will send them. */
export const HELLO_ABSENT: Readonly<Record<string, string>> = {
  canvasHostUrl: 'the canvas host is not part of this version',
  'snapshot.presence[].instanceId': 'AMB-034, PRES-005: a device names its instance itself; its row is keyed by `deviceId`',
  'snapshot.health.agents[].heartbeat': 'heartbeats are not part of this version',
};

/** Recording 06 was made before the protocol page. */
export const HANDOFF_ADDED = 'the page adds bounded `deviceTokens` to the hello of a bootstrap (PROTO-033)';

/** Members of recorded session rows and messages that are not sent, with the reason. */
export const SESSION_ABSENT: Readonly<Record<string, string>> = {
  origin: 'rows tell where a session last talked in `deliveryContext` and `lastChannel`',
  contextTokens: 'a session has it once a model has served it, the defaults have it when the configuration limits it',
  cacheRead: 'rows count input and output; replies carry the rest',
  cacheWrite: 'rows count input and output; replies carry the rest',
  systemSent: 'the prompt is made anew for each call',
  skillsSnapshot: 'skills are not part of this version',
  systemPromptReport: 'trimmed in the recording',
  responseId: 'the offline provider gives its replies no ids',
  senderLabel: 'the text of a message is stored as it was sent, the sender beside it',
  idempotencyKey: 'a partial reply is one entry, known by `openclawAbort.runId`',
  archived: 'transcripts are append-only: a compaction archives nothing',
};

/** Session methods that answer otherwise than recorded. */
export const SESSION_ANSWERS: ReadonlyArray<{ id: string; method: string; why: string; answer: { ok: boolean; error?: object; payload?: object } }> = [
  {
    id: 'op-4',
    method: 'sessions.send',
    why: 'AMB-072: sessions.send needs an idempotency key',
    answer: { ok: false, error: { code: 'INVALID_REQUEST', message: "invalid sessions.send params: must have required property 'idempotencyKey'" } },
  },
  {
    id: 'op-12',
    method: 'sessions.preview',
    why: 'a partial reply is one entry, so the message before it is seen too',
    answer: {
      ok: true,
      payload: {
        previews: [
          { key: 'agent:main:example', status: 'ok', items: [{ role: 'user' }, { role: 'assistant' }] },
          { key: 'nope', status: 'missing', items: [] },
        ],
      },
    },
  },
  {
    id: 'op-18',
    method: 'sessions.get',
    why: 'a partial reply is one entry, so the message before it is seen too',
    answer: { ok: true, payload: { messages: [{ role: 'user' }, { role: 'assistant', openclawAbort: { aborted: true, origin: 'rpc', runId: 'ss-3' } }] } },
  },
];

/** Members of recorded answers that this gateway's have not, or whose kind differs: recording, request, paths, and why. */
export const ANSWER_DEVIATIONS: ReadonlyArray<{ file: string; method: string; paths: readonly string[]; why: string }> = [
  { file: '15', method: 'health', paths: ['agents[].heartbeat'], why: 'heartbeats are not part of this version' },
  { file: '15', method: 'status', paths: ['tasks', 'taskAudit'], why: 'the ledger of background tasks is not part of this version' },
  { file: '15', method: 'status', paths: ['heartbeat.agents[].everyMs'], why: 'heartbeats are off, so there is no interval' },
  { file: '15', method: 'status', paths: ['sessions.defaults.contextTokens'], why: 'known once the provider is asked; status asks none' },
  { file: '15', method: 'system-presence', paths: ['[].instanceId'], why: 'AMB-034: the row carries it only when the client gave one' },
  { file: '33', method: 'config.get', paths: ['sourceConfig', 'runtimeConfig'], why: 'the recording notes that these leak secrets' },
  { file: '33', method: 'config.patch', paths: ['restart'], why: 'a change is live when it is answered; null says that nothing waits for a restart' },
  { file: '33', method: 'config.patch', paths: ['sentinel.path'], why: 'no restart follows, so no file waits for it' },
  { file: '33', method: 'config.apply', paths: ['restart', 'sentinel.path'], why: 'as for config.patch' },
  { file: '36', method: 'tools.effective', paths: ['groups[].tools[].pluginId'], why: 'no extension of this test offers a tool beside the core ones' },
];

/**
 * Recorded requests of nodes and approvals that are not replayed. What is replayed fits; beside the recordings these decisions hold:
 * a node's commands are those that its approved pairing covers (AMB-075), `node.describe` shows what it claims (PROTO-041) and the policy
 * is applied at invoke (PROTO-079); a changed field of an approved run is refused (PROTO-311 to PROTO-315) and a second run too, whatever the
 * decision was (PROTO-316); `node.pending.drain` hands an item out once (PROTO-222); a name given by an operator shows at once (PROTO-214);
 * `node.invoke` does not repeat an effect (PROTO-051); `node.pair.list` holds no tokens.
 */
export const NODE_UNPLAYED: ReadonlyArray<{ file: string; id: string; why: string }> = [
  { file: '29', id: 'node-11', why: 'skills.bins belongs to the family of skills, which is not part of this version' },
];
