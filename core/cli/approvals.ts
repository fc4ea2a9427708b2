import { errorCode, errorText } from '../../sdk/errors.ts';
import type { Output } from './output.ts';
import { printable } from './printable.ts';
import type { Rpc } from './rpc.ts';

/** What waits for a person's word, as the gateway announces it. */
interface PendingApproval {
  id: string;
  request: { command?: string; title?: string; description?: string; cwd?: string | null; sessionKey?: string | null; allowedDecisions?: string[] };
}

export interface ApprovalOptions {
  output: Output;
  /** Asks on the terminal; rejects with an AbortError when the signal fires. Absent: nobody is here to answer, which is a no. */
  ask?: (question: string, signal: AbortSignal) => Promise<string>;
  /** Whether an approval of that session is this terminal's business. */
  concerns(sessionKey: string): boolean;
}

/** What can be read before it is answered; of a longer command both ends are shown, and that something is missing. */
const MAX_CHARS = 8_000;

/** Puts the approvals of a session to the person at the terminal, one after the other, and sends the answers. */
export function answerApprovals(rpc: Rpc, { output, ask, concerns }: ApprovalOptions): void {
  const open = new Map<string, AbortController>();
  let queue: Promise<void> = Promise.resolve();
  rpc.onEvent((event, payload) => {
    const match = /^(exec|plugin)\.approval\.(requested|resolved)$/.exec(event);
    if (match === null) return;
    const approval = payload as PendingApproval;
    if (match[2] === 'resolved') return open.get(approval.id)?.abort();
    const { sessionKey } = approval.request;
    if (typeof sessionKey === 'string' && !concerns(sessionKey)) return;
    const controller = new AbortController();
    open.set(approval.id, controller);
    queue = queue.then(() => decide(`${match[1]}.approval.resolve`, approval, controller.signal)).finally(() => open.delete(approval.id));
  });

  async function decide(method: string, { id, request }: PendingApproval, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { paint } = output;
    const what = inFull(request.command ?? request.title ?? request.description ?? id);
    output.line(`\n${paint.warn('approval')} ${paint.bold(what)}${request.cwd ? paint.muted(`  in ${printable(request.cwd)}`) : ''}`);
    try {
      await rpc.call(method, { id, decision: await askFor(request.allowedDecisions ?? [], signal) });
    } catch (error) {
      if (errorCode(error) === 'ABORT_ERR') output.line(paint.muted('  answered elsewhere'));
      else output.note(`The answer did not arrive: ${errorText(error)}`);
    }
  }

  async function askFor(allowed: readonly string[], signal: AbortSignal): Promise<string> {
    if (ask === undefined) {
      output.note('Denied: nobody can answer here. Run the command in a terminal to be asked.');
      return 'deny';
    }
    const always = allowed.includes('allow-always');
    const answer = (await ask(`  allow? ${always ? '[y]es, [a]lways, [n]o' : '[y]es, [n]o'} › `, signal)).trim().toLowerCase();
    if (/^y(es)?$/.test(answer)) return 'allow-once';
    return always && /^a(lways)?$/.test(answer) ? 'allow-always' : 'deny';
  }
}

/** All lines, for a line break can end a comment; no part of it may go unseen. */
function inFull(text: string): string {
  const whole = printable(text).trim();
  const half = MAX_CHARS / 2;
  const shown = whole.length <= MAX_CHARS ? whole : `${whole.slice(0, half)}\n[${whole.length - MAX_CHARS} CHARACTERS ARE NOT SHOWN]\n${whole.slice(-half)}`;
  return shown.replaceAll('\n', '\n         ');
}
