import { durarError } from '../../../sdk/errors.ts';
import { suggest } from '../../../sdk/suggest.ts';
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
    const wanted = options.provider as string | undefined;
    const models = payload.models.filter(({ provider }) => wanted === undefined || provider === wanted);
    if (wanted !== undefined && models.length === 0) {
      const similar = suggest(wanted, new Set(payload.models.map(({ provider }) => provider)));
      throw durarError('DUR_PROVIDER_UNKNOWN', { provider: wanted }, similar === undefined ? {} : { hint: `Did you mean '${similar}'?` });
    }
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
