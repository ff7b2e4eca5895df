package doctor

import (
	"context"

	"github.com/spillway/spillway/auth/oidc"
)

const issuerFix = "correct --oidc-issuer (SPILLWAY_OIDC_ISSUER), or let this machine reach the issuer's /.well-known/openid-configuration and jwks_uri; " +
	"an authority of your own: SSL_CERT_FILE"

func checkIssuer(ctx context.Context, s *session) Result {
	if s.cfg.Issuer == "" {
		return unused("no outside issuer is configured")
	}
	keys, err := oidc.Fetch(ctx, s.cfg.Issuer)
	if err != nil {
		return fail(issuerFix, "%v", err)
	}
	return ok("%s has %d keys", s.cfg.Issuer, len(keys))
}
