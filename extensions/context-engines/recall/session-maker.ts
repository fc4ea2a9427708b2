import { type AgentMessage, type AssistantMessage, emptyUsage, type ToolResultMessage, type UserMessage } from 'Durar/plugin-sdk/core';

/** Long conversations for the tests: prose, code, large tool results, pictures. The same seed gives the same text. */
export interface SessionMaker {
  user(text: string): UserMessage;
  reply(text: string): AssistantMessage;
  /** A question, perhaps some tool calls with their results, an answer. */
  turn(): AgentMessage[];
}

const SUBJECTS = [
  'the parser',
  'our billing job',
  'the garden fence',
  'the quarterly report',
  'the login page',
  'the heat pump',
  'the index rebuild',
  'the train to Lyon',
];
const VERBS = ['fails on', 'depends on', 'should be moved before', 'was planned with', 'looks slower than', 'got simpler after', 'needs a note about'];
const OBJECTS = ['empty input', 'the older release', 'three open questions', 'the second supplier', 'cold mornings', 'a cached result', 'the budget of spring'];
const CODE = [
  'const total = items.reduce((sum, item) => sum + item.price, 0);',
  'if (queue.length === 0) return undefined;',
  'await writer.flush();',
  'for (const row of rows) {',
];

export function createSessionMaker(seed: number): SessionMaker {
  let state = seed;
  let clock = Date.UTC(2026, 0, 1);
  let calls = 0;
  // a linear congruential generator: enough for texts, and the same everywhere
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)] ?? '';
  const sentence = () => `${pick(SUBJECTS)} ${pick(VERBS)} ${pick(OBJECTS)}`;
  const prose = (count: number) => Array.from({ length: count }, () => `I think ${sentence()}.`).join(' ');
  const code = (lines: number) => `\`\`\`ts\n${Array.from({ length: lines }, () => pick(CODE)).join('\n')}\n\`\`\``;
  const now = () => {
    clock += 1_000 + Math.floor(random() * 60_000);
    return clock;
  };
  const origin = () => ({ api: 'test', provider: 'test', model: 'test', usage: emptyUsage() });

  const maker: SessionMaker = {
    user: (text) => ({ role: 'user', content: text, timestamp: now() }),
    reply: (text) => ({ role: 'assistant', content: [{ type: 'text', text }], ...origin(), stopReason: 'stop', timestamp: now() }),
    turn() {
      const messages: AgentMessage[] = [];
      const asked = maker.user(`What about ${sentence()}? ${prose(Math.floor(random() * 4))}`);
      const hasPicture = random() < 0.03;
      messages.push(hasPicture ? { ...asked, content: [{ type: 'text', text: String(asked.content) }, picture(random)] } : asked);
      for (let step = Math.floor(random() * 3); step > 0 && random() < 0.6; step -= 1) {
        const ids = Array.from({ length: random() < 0.2 ? 2 : 1 }, () => `call-${++calls}`);
        const content = ids.map((id) => ({ type: 'toolCall' as const, id, name: 'read', arguments: { path: `src/file-${calls}.ts` } }));
        messages.push({ role: 'assistant', content, ...origin(), stopReason: 'toolUse', timestamp: now() });
        for (const id of ids) messages.push(result(id, code(random() < 0.1 ? 1_500 : 20), now()));
      }
      messages.push(maker.reply(random() < 0.3 ? `${prose(2)}\n${code(6)}` : prose(4)));
      return messages;
    },
  };
  return maker;
}

function result(toolCallId: string, text: string, timestamp: number): ToolResultMessage {
  return { role: 'toolResult', toolCallId, toolName: 'read', content: [{ type: 'text', text }], isError: false, timestamp };
}

function picture(random: () => number) {
  return { type: 'image' as const, mimeType: 'image/png', data: Buffer.alloc(20_000, Math.floor(random() * 256)).toString('base64') };
}
