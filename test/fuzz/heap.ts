/** Looks into another Node process over its inspector: what its heap holds after a collection. Resident memory alone tells little, as V8 gives it back late. */
import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface HeapProbe {
  /** MB */
  measure(): Promise<{ live: number; outside: number; resident: number }>;
  close(): void;
}

export async function attachHeapProbe(url: string): Promise<HeapProbe> {
  const socket = new WebSocket(url);
  await once(socket, 'open');
  let ids = 0;
  const ask = async (method: string, params: object = {}): Promise<unknown> => {
    const id = ++ids;
    socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = (await once(socket, 'message')) as [Buffer];
      const answer = JSON.parse(String(data)) as { id?: number; result?: unknown; error?: { message: string } };
      if (answer.id !== id) continue;
      if (answer.error !== undefined) throw new Error(answer.error.message);
      return answer.result;
    }
  };
  return {
    async measure() {
      await ask('HeapProfiler.collectGarbage');
      const { result } = (await ask('Runtime.evaluate', { expression: 'JSON.stringify(process.memoryUsage())' })) as { result: { value: string } };
      const { heapUsed, external, rss } = JSON.parse(result.value) as NodeJS.MemoryUsage;
      return { live: heapUsed / 2 ** 20, outside: external / 2 ** 20, resident: rss / 2 ** 20 };
    },
    close: () => socket.terminate(),
  };
}
