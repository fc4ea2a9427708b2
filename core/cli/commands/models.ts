import type { Action } from '../command.ts';
import { openRpc } from '../rpc.ts';

interface ModelRow {
  id: string;
  name: string;
  provider: string;
  contextWindow?: number;
  reasoning?: boolean;
  input?: string[];
}

/** `durar models list` */
export const modelsList: Action = async (context) => {
  const { output, options } = context;
  const rpc = await openRpc(context);
  try {
    const payload = (await rpc.call('models.list', {})) as { models: ModelRow[] };
    const models = payload.models.filter(({ provider }) => options.provider === undefined || provider === options.provider);
    output.result({ models }, () =>
      output.table(
        ['model', 'name', 'window', 'input', 'thinks'],
        models.map(({ id, name, provider, contextWindow, reasoning, input }) => [
          output.paint.info(`${provider}/${id}`),
          name,
          contextWindow === undefined ? '-' : contextWindow.toLocaleString('en'),
          input?.join(', ') ?? 'text',
          reasoning ? 'yes' : '-',
        ]),
      ),
    );
  } finally {
    rpc.close();
  }
};
