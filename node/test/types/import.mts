// As a module of ECMAScript: names, and all of them as the default.

import reknock, { createClient, type Client } from 'reknock';

export const clients: Client[] = [createClient(), reknock.createClient()];
