import type { SessionRecord, Usage } from '../../../sdk/index.ts';
import { isSilentReply } from '../turn/turn-result.ts';
import type { Turn } from '../turn/turn-state.ts';
import { grouped } from './status.ts';

/** The line under a reply that `/usage` asks for; undefined: nobody asked. The model never sees it. */
export function usageLine({ extra, key }: Pick<SessionRecord, 'extra' | 'key'>, usage: Usage): string | undefined {
  const mode = extra?.responseUsage;
  if (mode !== 'tokens' && mode !== 'full' && mode !== 'on') return undefined;
  const line = `Usage: ${grouped(usage.input + usage.cacheRead + usage.cacheWrite)} in / ${grouped(usage.output)} out`;
  if (mode !== 'full') return line;
  const cached = usage.cacheRead > 0 ? ` · ${grouped(usage.cacheRead)} cached` : '';
  const cost = usage.cost.total > 0 ? ` · est. $${usage.cost.total.toFixed(4)}` : '';
  return `${line}${cached}${cost} · session ${key}`;
}

/** Puts the line under the last text of the turn, for those who follow it and for its result; the transcript has the bare reply. */
export function appendUsage({ session, totals, run }: Pick<Turn, 'session' | 'totals' | 'run'>): void {
  const line = usageLine(session, totals.usage);
  const last = totals.texts.at(-1);
  if (line === undefined || last === undefined || isSilentReply(last)) return;
  const delta = `\n\n${line}`;
  totals.texts[totals.texts.length - 1] = last + delta;
  totals.text += delta;
  run.emit('assistant', { text: totals.text, delta });
}
