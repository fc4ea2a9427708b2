// npm links the commands of dependencies, not the package's own: `npx durar` in a checkout needs this link. Runs as the `prepare` script of a
// checkout, with whatever Node the machine has, so it is plain JavaScript.
import { chmodSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../node_modules/.bin/', import.meta.url));
const link = `${bin}durar`;
if (existsSync(bin)) {
  rmSync(link, { force: true });
  if (process.platform === 'win32') writeFileSync(`${link}.cmd`, '@node "%~dp0\\..\\..\\core\\cli\\durar.js" %*\r\n');
  else symlinkSync('../../core/cli/durar.js', link);
  chmodSync(fileURLToPath(new URL('../core/cli/durar.js', import.meta.url)), 0o755);
}
