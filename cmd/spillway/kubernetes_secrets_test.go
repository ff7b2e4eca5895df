package main

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestKubernetes_SecretsThatAreNeeded: each pod has the keys of the Secret that its process needs, and no others. Who takes over a process that is reached from
// outside, or reads its files, has no key that another one needs.
func TestKubernetes_SecretsThatAreNeeded(t *testing.T) {
	whole := map[string]string{
		"Job/migrate": "mysql", "Deployment/serve": "auth-key mysql redis smtp-password",
		"Deployment/work-drain": "mysql redis", "Deployment/work-mail": "mysql smtp-password", "Deployment/work-repair": "mysql redis",
	}
	services := map[string]string{
		"Job/migrate": "mysql", "Deployment/serve": "auth-key mysql redis",
		"Deployment/work-drain": "mysql redis service-token", "Deployment/work-mail": "mysql service-token", "Deployment/work-repair": "mysql redis service-token",
		"Deployment/payment": "auth-key mysql", "Deployment/shipping": "auth-key mysql", "Deployment/email": "auth-key mysql smtp-password",
		"Deployment/currency": "auth-key", "Deployment/catalog": "auth-key mysql redis", "Deployment/cart": "auth-key mysql redis",
		"Deployment/order": "auth-key mysql redis",
	}
	for _, overlay := range []string{"dev", "prod"} {
		t.Run(overlay, func(t *testing.T) { checkSecrets(t, overlay, processesOf(t, overlay, manifests(t, overlay)), whole) })
		t.Run(overlay+" with services", func(t *testing.T) {
			checkSecrets(t, overlay, processesOf(t, overlay, manifests(t, overlay, "services")), services)
		})
	}
}

// checkSecrets compares the files of each process with the wanted ones, and with those that its environment names.
func checkSecrets(t *testing.T, overlay string, processes []process, want map[string]string) {
	t.Helper()
	found := map[string]string{}
	for _, p := range processes {
		mounted := strings.Join(slices.Sorted(maps.Keys(p.secrets)), " ")
		if named := strings.Join(secretsNamed(p.env), " "); named != mounted {
			t.Errorf("%s has the files %q, and its environment names %q", p.name, mounted, named)
		}
		found[p.name] = mounted
	}
	want = maps.Clone(want)
	if overlay == "dev" { // Its mail server takes mails without a password, and it has a catalogue.
		want["Job/seed"] = "mysql"
		for name, keys := range want {
			want[name] = strings.TrimSuffix(keys, " smtp-password")
		}
	}
	if !maps.Equal(found, want) {
		t.Errorf("the processes have %v; want %v", found, want)
	}
}

// secretsNamed returns the names of the files of the Secret in the environment, sorted.
func secretsNamed(env map[string]string) (names []string) {
	for _, value := range env {
		if path.Dir(value) == "/run/secrets/spillway" {
			names = append(names, path.Base(value))
		}
	}
	slices.Sort(names)
	return names
}
