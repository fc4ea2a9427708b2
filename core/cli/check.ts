/** One thing that `doctor` looked at. */
export interface Check {
  /** `config`, `permissions`, `gateway`, `slot.contextEngine`, `plugin.<id>` */
  id: string;
  status: 'ok' | 'info' | 'warn' | 'error';
  message: string;
  /** What to do about it. */
  hint?: string;
  code?: string;
}
