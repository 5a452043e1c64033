package main

import (
	"github.com/spf13/cobra"

	"github.com/ftk-go/ftk/internal/doctor"
)

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what was found on this machine, and how to mend what was not",
		Long: `doctor prints the libraries that ftk found with their versions, the measured rate
of matrix products, what the processor can do, and for each thing missing the
one command that mends it. The exit status is 1 when something needed is missing.`,
		Example: `  ftk doctor
  ftk doctor --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			report := doctor.Examine()
			report.Print(out())
			if global.json {
				if err := printJSON(report); err != nil {
					return err
				}
			}
			return report.Err()
		},
	}
}
