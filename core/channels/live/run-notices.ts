import type { AgentEvent, SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';

/** What a person wants to see of a run beside its reply. */
export interface NoticeLevels {
  verbose: string;
  reasoning: string;
}

/** Makes what a run does into messages, as far as its session wants to see it. */
export interface RunNotices {
  hear(event: Pick<AgentEvent, 'stream' | 'data'>): void;
  /** What the model thought; undefined: nothing, or nobody wants to see it. */
  reasoning(): string | undefined;
}

/** characters of a call's arguments, and of its outcome */
const MOST = { args: 120, output: 500, reasoning: 8_000 };

/** `post`: sends a notice at once. `levels` may come later than the first events, and does not reject. */
export function createRunNotices(levels: Promise<NoticeLevels>, post: (text: string) => void): RunNotices {
  const thoughts: string[] = [];
  let thought = '';
  let known: NoticeLevels | undefined;
  const ready = levels.then((value) => {
    known = value;
    return value;
  });

  function endThought(): void {
    if (thought.trim() !== '') thoughts.push(thought.trim());
    thought = '';
  }

  async function tell({ data }: Pick<AgentEvent, 'data'>): Promise<void> {
    const { verbose } = await ready;
    const name = String(data.name);
    if (data.phase === 'start' && verbose !== 'off') post(`🛠️ ${name}${detail(data.args)}`);
    if (data.phase === 'result' && verbose === 'full') {
      const output = outputOf(data.result);
      post(`${data.isError === true ? '⚠️' : '🛠️'} ${name}: ${output === '' ? '(nothing)' : output}`);
    }
  }

  return {
    hear(event) {
      const { stream, data } = event;
      if (stream === 'thinking' && typeof data.text === 'string') {
        // a thought that goes on behind a few words comes whole again
        const last = thoughts.at(-1);
        if (last !== undefined && data.text.startsWith(last)) thoughts.pop();
        thought = data.text;
      } else endThought();
      if (stream === 'tool') void tell(event);
    },
    reasoning() {
      endThought();
      if (known?.reasoning !== 'on' || thoughts.length === 0) return undefined;
      return `Reasoning:\n${cut(thoughts.join('\n\n'), MOST.reasoning)}`;
    },
  };
}

/** This message's own wish, then the session's, then the configuration's. */
export function noticeLevels(config: Config, session: SessionRecord | undefined, shown: { verboseLevel?: string; reasoningLevel?: string } = {}): NoticeLevels {
  const agent = config.agents.list?.find(({ id }) => id.toLowerCase() === session?.agentId);
  return {
    verbose: shown.verboseLevel ?? session?.verboseLevel ?? config.agents.defaults.verboseDefault,
    reasoning: shown.reasoningLevel ?? session?.reasoningLevel ?? agent?.reasoningDefault ?? 'off',
  };
}

function detail(args: unknown): string {
  const values = typeof args === 'object' && args !== null ? Object.values(args).filter((value) => typeof value === 'string' || typeof value === 'number') : [];
  return values.length === 0 ? '' : `: ${cut(values.join(' ').replaceAll(/\s+/g, ' '), MOST.args)}`;
}

function outputOf(result: unknown): string {
  const content = (result as { content?: unknown } | undefined)?.content;
  if (!Array.isArray(content)) return '';
  const texts = content.flatMap((block: { text?: unknown }) => (typeof block.text === 'string' ? [block.text] : []));
  return cut(texts.join('\n').trim(), MOST.output);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}
