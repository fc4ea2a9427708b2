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
