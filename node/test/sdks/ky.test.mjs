// ky 1 over ours.

import * as ky from 'ky';
import { createClient } from 'reknock';
import { alike } from '../support/ky.mjs';

alike(ky, createClient({ policy: false }).fetch);
