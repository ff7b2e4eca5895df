package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"time"
)

// certificateSoon is how long before a certificate expires there is a warning: what renews it automatically does so a month before.
const certificateSoon = 14 * 24 * time.Hour

func checkInternal(ctx context.Context, s *session) Result {
	p := s.cfg.Process
	r := checkPort(ctx, p.Internal, "--internal-listen (SPILLWAY_INTERNAL_LISTEN)")
	if p.Internal == "" || r.Status != OK || p.InternalTLS || isLoopback(hostOf(p.Internal)) {
		return r
	}
	return warn("--internal-cert-file and --internal-key-file, and https:// or grpcs:// in the URLs of its callers; or let a mesh encrypt it",
		"%s; it speaks no TLS, and other machines may reach it: cards, addresses and tokens travel in plain text", r.Found)
}

func checkBoutique(ctx context.Context, s *session) Result {
	addr := s.cfg.Process.Boutique
	r := checkPort(ctx, addr, "--online-boutique-listen (SPILLWAY_ONLINE_BOUTIQUE_LISTEN)")
	if addr == "" || r.Status != OK || isLoopback(hostOf(addr)) {
		return r
	}
	return warn(
		"let only the servers of Online Boutique reach it: a firewall or a NetworkPolicy",
		"%s; everyone who reaches it orders as any of its users",
		r.Found,
	)
}

func checkCertificates(_ context.Context, s *session) Result {
	certificates := s.cfg.Process.Certificates
	if len(certificates) == 0 {
		return unused("no port speaks TLS")
	}
	worst := ok("%d are valid", len(certificates))
	for _, c := range certificates {
		switch r := s.checkCertificate(c); {
		case r.Status == Fail:
			return r
		case r.Status == Warn && worst.Status == OK:
			worst = r
		}
	}
	return worst
}

func (s *session) checkCertificate(c Certificate) Result {
	fix := fmt.Sprintf("renew the files of %s and its key; a process that runs reads them again", c.Flag)
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return fail(fix, "%s: %v", c.Flag, err)
	}
	now, until := s.now(), pair.Leaf.NotAfter
	names := strings.Join(append(pair.Leaf.DNSNames, sprint(pair.Leaf.IPAddresses)), " ")
	switch {
	case now.After(until):
		return fail(fix, "%s has expired at %s", c.CertFile, until.Format(time.RFC3339))
	case now.Before(pair.Leaf.NotBefore):
		return fail(fix, "%s is valid from %s on", c.CertFile, pair.Leaf.NotBefore.Format(time.RFC3339))
	case until.Sub(now) < s.certificateSoon:
		return warn(fix, "%s of %s expires at %s", c.CertFile, names, until.Format(time.RFC3339))
	}
	if info, err := os.Stat(c.KeyFile); err == nil && info.Mode().Perm()&othersRead != 0 {
		return warn(fmt.Sprintf("`chmod 600 %s`, or in Kubernetes `defaultMode: 0400` of the volume", c.KeyFile),
			"everyone on the machine may read the key %s (%o)", c.KeyFile, info.Mode().Perm())
	}
	return ok("")
}
