// As a CommonJS module.

import reknock = require('reknock');

export const client: reknock.Client = reknock.createClient();
