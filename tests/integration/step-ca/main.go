// Runs step-ca, the ACME CA of Smallstep, with the configuration file that is its only argument.
//
// Debian has its packages as a library (golang-github-smallstep-certificates-dev), without the command.
package main

import (
	"log"
	"os"

	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/ca"
	_ "github.com/smallstep/certificates/cas/softcas"
	_ "go.step.sm/crypto/kms/softkms"
)

func main() {
	settings, err := config.LoadConfiguration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server, err := ca.New(settings)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Run())
}
