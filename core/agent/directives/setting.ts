import type { CommandReply, SessionPatch, SessionRecord } from '../../../sdk/index.ts';
import type { Config } from '../../config/schema.ts';
import type { ModelAccess } from '../models/model-access.ts';
import type { Sender } from './sender.ts';

/** What a directive by itself comes to: an answer, and what changes in the session's row. */
export interface Setting extends CommandReply {
  columns?: SessionPatch;
  /** Keys of `extra`; undefined takes one out. */
  extra?: Record<string, unknown>;
}

export interface SettingContext {
  config: Config;
  session: SessionRecord;
  sender: Sender;
  models: Pick<ModelAccess, 'choose' | 'list' | 'defaults'>;
}
