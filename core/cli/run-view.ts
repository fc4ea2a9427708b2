import type { Output } from './output.ts';
import { oneLine, printable } from './printable.ts';

/** The payload of an `agent` event, as far as a terminal shows it. */
export interface RunEvent {
  runId: string;
  stream: string;
  data: { phase?: string; delta?: string; name?: string; args?: unknown; isError?: boolean; result?: unknown };
}

/** Shows one run on the terminal as it happens. */
export interface RunView {
  event(event: RunEvent): void;
  /** Ends the open line. `finalText` is printed when nothing was streamed. */
  end(finalText?: string): void;
}

const TOOL_WIDTH = 100;

export function createRunView(output: Output): RunView {
  const { paint } = output;
  let streamed = false;
  let open = false;
  const closeLine = () => {
    if (open) output.line();
    open = false;
  };
  return {
    event({ stream, data }) {
      if (stream === 'assistant' && data.delta !== undefined && data.delta !== '') {
        const text = printable(data.delta);
        output.write(text);
        streamed = true;
        open = !text.endsWith('\n');
      } else if (stream === 'tool' && data.phase === 'start') {
        closeLine();
        output.line(paint.muted(`  → ${oneLine(`${data.name ?? 'tool'} ${describeArgs(data.args)}`, TOOL_WIDTH)}`));
      } else if (stream === 'tool' && data.phase === 'result' && data.isError) {
        closeLine();
        output.line(paint.muted(`  ✗ ${data.name ?? 'tool'} failed`));
      } else if (stream === 'compaction' && data.phase === 'start') {
        closeLine();
        output.line(paint.muted('  … compacting the conversation'));
      }
    },
    end(finalText) {
      if (!streamed && finalText !== undefined && finalText !== '') {
        output.write(printable(finalText));
        open = !finalText.endsWith('\n');
      }
      closeLine();
    },
  };
}

/** The one text argument by itself, anything else as JSON. */
function describeArgs(args: unknown): string {
  if (typeof args !== 'object' || args === null) return '';
  const values = Object.values(args);
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : JSON.stringify(args);
}
