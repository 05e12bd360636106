#!/usr/bin/env node
'use strict';

require('../lib/command.js').main(process.argv.slice(2));
