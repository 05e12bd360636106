// ky 2 over ours: run by runtimes.test.js on the newest Node.

import * as ky from 'ky';
import { createClient } from '../../index.mjs';
import { alike } from '../support/ky.mjs';

const client = createClient({ policy: false });
alike(ky, { fetch: client.fetch, close: () => client.close() });
