'use strict';

const { targets } = require('./targets.js');

/** The addon of each platform: built in place, or from its package. Written out, each in a try of its own: bundlers find those that are there, and leave out the others. */
const BINARIES = {
  'linux-x64-gnu': [
    (failed) => { try { return require('../reknock.linux-x64-gnu.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/linux-x64-gnu'); } catch (error) { return failed(error); } },
  ],
  'linux-x64-musl': [
    (failed) => { try { return require('../reknock.linux-x64-musl.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/linux-x64-musl'); } catch (error) { return failed(error); } },
  ],
  'linux-arm64-gnu': [
    (failed) => { try { return require('../reknock.linux-arm64-gnu.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/linux-arm64-gnu'); } catch (error) { return failed(error); } },
  ],
  'linux-arm64-musl': [
    (failed) => { try { return require('../reknock.linux-arm64-musl.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/linux-arm64-musl'); } catch (error) { return failed(error); } },
  ],
  'darwin-x64': [
    (failed) => { try { return require('../reknock.darwin-x64.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/darwin-x64'); } catch (error) { return failed(error); } },
  ],
  'darwin-arm64': [
    (failed) => { try { return require('../reknock.darwin-arm64.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/darwin-arm64'); } catch (error) { return failed(error); } },
  ],
  'win32-x64-msvc': [
    (failed) => { try { return require('../reknock.win32-x64-msvc.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/win32-x64-msvc'); } catch (error) { return failed(error); } },
  ],
  'win32-arm64-msvc': [
    (failed) => { try { return require('../reknock.win32-arm64-msvc.node'); } catch (error) { return failed(error); } },
    (failed) => { try { return require('@reknock/win32-arm64-msvc'); } catch (error) { return failed(error); } },
  ],
};

/** The addon for this machine. */
function load() {
  const failures = [];
  // What can be loaded on one platform is on its own C library alone: the first that loads is it. Those of a place go before those of packages.
  for (const which of [0, 1]) {
    for (const target of targets) {
      const name = which === 0 ? `reknock.${target}.node` : `@reknock/${target}`;
      const loaded = BINARIES[target]?.[which]((error) => void failures.push(`  ${name}: ${error.message.split('\n', 1)[0]}`));
      if (loaded) return loaded;
    }
  }
  throw new Error(`reknock: no binary could be loaded for ${process.platform} ${process.arch}:\n${failures.join('\n')}`);
}

module.exports = load();
