import type { Finding } from '../../manifest/catalog.ts';
import type { Output } from '../output.ts';
import { oneLine } from '../printable.ts';

const PROVIDES_WIDTH = 50;

/** The flags of `gateway run` as the composition gets them. What is absent comes from environment and configuration. */
export interface GatewayFlags {
  port?: number;
  bind?: 'loopback' | 'lan' | 'tailnet' | 'auto' | 'custom';
  auth?: 'none' | 'token' | 'password' | 'trusted-proxy';
  token?: string;
  password?: string;
  allowUnconfigured?: boolean;
  force?: boolean;
  verbose?: boolean;
  wsLog?: 'auto' | 'full' | 'compact';
}

/** What a gateway that has come up tells its operator. */
export interface BootReport {
  version: string;
  /** The folder of Durar itself. */
  packageDir: string;
  home: string;
  url: string;
  /** SHA-256 of its certificate, where it serves TLS; what clients pin. */
  tlsFingerprint?: string;
  stateDir: string;
  configFile: string;
  model?: string;
  loaded: Array<{ id: string; origin: string; manifestFile: string; provides: string[] }>;
  slots: Record<string, { key: string; owner?: string; error?: string }>;
  findings: readonly Finding[];
  /** Command lines to try next, with what they do. */
  firstSteps: string[];
}

/** More extensions than this are counted instead of listed. */
const MOST_ROWS = 40;

/** Prints what was loaded from which manifest, what serves each slot, where the gateway listens and how to talk to it. */
export function printBootReport(report: BootReport, output: Output): void {
  const { paint } = output;
  output.line(`${paint.accent(paint.bold('durar'))} ${report.version}`);
  output.line();
  output.table(
    ['extension', 'origin', 'provides', 'manifest'],
    report.loaded
      .slice(0, MOST_ROWS)
      .map(({ id, origin, provides, manifestFile }) => [
        paint.info(id),
        origin,
        oneLine(provides.join(', ') || '-', PROVIDES_WIDTH),
        paint.muted(shorten(manifestFile, report)),
      ]),
  );
  if (report.loaded.length > MOST_ROWS) output.line(paint.muted(`and ${report.loaded.length - MOST_ROWS} more; \`durar plugins list\` shows all`));
  output.line();
  output.table(
    ['slot', 'serves', 'from'],
    Object.entries(report.slots).map(([slot, { key, owner, error }]) =>
      error === undefined ? [slot, paint.success(key), owner ?? '-'] : [slot, paint.error(`${key} failed`), error],
    ),
  );
  printFindings(report.findings, output);
  output.line();
  output.pairs([
    ['listening', paint.bold(report.url)],
    ['certificate', report.tlsFingerprint === undefined ? undefined : `sha256 ${report.tlsFingerprint}`],
    ['model', report.model],
    ['configuration', report.configFile],
    ['state', report.stateDir],
  ]);
  if (report.firstSteps.length === 0) return;
  output.line();
  output.line(paint.muted('Talk to it from another terminal:'));
  for (const step of report.firstSteps) output.line(`  ${step}`);
}

/** Bundled manifests from the package's folder on, those of the operator from the home folder on. */
function shorten(file: string, { packageDir, home }: BootReport): string {
  if (file.startsWith(`${packageDir}/`)) return file.slice(packageDir.length + 1);
  return file.startsWith(`${home}/`) ? `~${file.slice(home.length)}` : file;
}

/** One paragraph per finding: level, code, message, and what to do. */
export function printFindings(findings: readonly Finding[], output: Output): void {
  if (findings.length > 0) output.line();
  for (const finding of findings) {
    const level = { info: output.paint.info, warn: output.paint.warn, error: output.paint.error }[finding.level];
    output.line(`${level(finding.level)} ${output.paint.muted(`${finding.code}:`)} ${finding.message}`);
    if (finding.hint !== '') output.line(`  ${finding.hint}`);
  }
}
