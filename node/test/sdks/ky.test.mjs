// ky 1 over ours.

import * as ky from 'ky';
import { createClient } from 'reknock';
import { alike } from '../support/ky.mjs';

const client = createClient({ policy: false });
alike(ky, { fetch: client.fetch, close: () => client.close() });
