package app

import "github.com/spillway/spillway/redisconn"

// redisAdvice is what to set for a Redis or a Sentinel that refuses this process.
func redisAdvice(e *redisconn.RefusedError) string {
	switch e.Refusal {
	case redisconn.RefusedCertificate:
		return "--redis-ca-file must have the authority that signed the certificates of Redis and the Sentinels, and they must have the names or " +
			"IP addresses that --redis and the Sentinels use"
	case redisconn.RefusedNoCertificate:
		return "it requires a certificate of its clients, and Spillway has none: set `tls-auth-clients no`"
	case redisconn.RefusedTLS:
		return "it does not speak TLS: use redis:// or redis-sentinel://, and no --redis-tls"
	case redisconn.RefusedPlain:
		return "it speaks TLS only: use rediss:// or rediss-sentinel://, or --redis-tls"
	case redisconn.RefusedLogin:
		if e.Sentinel {
			return "--redis-sentinel-username and --redis-sentinel-password must be those of a user of the Sentinels that may run " +
				"SENTINEL GET-MASTER-ADDR-BY-NAME, SENTINEL MASTER and SENTINEL MYID"
		}
	}
	return "--redis-username and --redis-password, or those in --redis, must be those of an ACL user that may use the keys of --redis-namespace, " +
		"with the rights in docs/operations.md"
}
