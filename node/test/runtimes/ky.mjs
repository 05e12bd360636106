// ky 2 over ours: run by runtimes.test.js on the newest Node.

import * as ky from 'ky';
import { createClient } from '../../index.mjs';
import { alike } from '../support/ky.mjs';

alike(ky, createClient({ policy: false }).fetch);
