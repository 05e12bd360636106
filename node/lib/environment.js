'use strict';

/** What Node's own TLS takes from the environment, for clients that are not told otherwise: options of a client. */
function environment({ verify, caBundle, ca_bundle: bundle }) {
  if (verify !== undefined) return {};
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    warn();
    return { verify: false };
  }
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  return extra && caBundle === undefined && bundle === undefined ? { caBundle: extra } : {};
}

let warned = false;

function warn() {
  if (warned) return;
  warned = true;
  process.emitWarning('reknock: NODE_TLS_REJECT_UNAUTHORIZED is 0: certificates are not verified');
}

module.exports = { environment };
