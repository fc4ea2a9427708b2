/**
 * The process in which an unknown extension is tried. Its first message is the job; steps, checks and the report go to the parent. It ends
 * itself: what the extension left running is not waited for.
 */
import { runVerification, type VerifyJob } from './verification.ts';

const job = await new Promise<VerifyJob>((resolve) => process.once('message', (message) => resolve(message as VerifyJob)));
const strays: unknown[] = [];
process.on('uncaughtException', (error) => strays.push(error));
process.on('unhandledRejection', (error) => strays.push(error));
// Without a parent nobody reads the report.
process.on('disconnect', () => process.exit(1));

const send = (message: object) => new Promise<void>((resolve) => process.send?.({ type: 'durar.verify', ...message }, () => resolve()));
const report = await runVerification(job, {
  onStep: (step) => void send({ step }),
  onCheck: (check) => void send({ check }),
  strays: () => strays,
});
await send({ report });
process.exit(0);
