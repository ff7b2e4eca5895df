package main

import (
	"context"
	"fmt"
	"os"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help is the end of the command's --help.
func (*completionCmd) Help() string {
	return `Put the line of your shell into its start-up file (~/.bashrc, ~/.zshrc, ~/.config/fish/config.fish):

    source <(spillway completion bash)
    source <(spillway completion zsh)
    spillway completion fish | source`
}

// completionScripts let a shell complete a command by running it with COMP_LINE set. %s is the path of the program.
var completionScripts = map[string]string{
	"bash": "complete -o default -C %s spillway\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -o default -C %s spillway\n",
	"fish": `function __complete_spillway
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    %s
end
complete -f -c spillway -a "(__complete_spillway)"
`,
}

// Run prints the script for the shell.
func (c *completionCmd) Run(_ context.Context, env environment) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.out, completionScripts[c.Shell], quoted(program))
	return err
}

// quoted is a path as one word of a shell.
func quoted(path string) string {
	for _, r := range path {
		if !isPathRune(r) {
			return "'" + path + "'"
		}
	}
	return path
}

func isPathRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '/' || r == '.' || r == '_' || r == '-'
}
