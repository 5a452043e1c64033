package lower_test

import "strings"

// nodeTestSkips is why official tests of operators in the table do not pass, by prefix of their names.
var nodeTestSkips = map[string]string{
	"test_batchnorm_epsilon_training_mode": "batch normalisation in training mode updates running statistics",
	"test_batchnorm_example_training_mode": "batch normalisation in training mode updates running statistics",
	"test_training_dropout_default":        "random masks inside the model; ftk's dropout is an input of the graph",
	"test_training_dropout_mask":           "random masks inside the model; ftk's dropout is an input of the graph",
	"test_training_dropout":                "random masks inside the model; ftk's dropout is an input of the graph",
}

// untested is why an operator of the table has no official test that passes.
var untested = map[string]string{}

func skipReason(name string) string {
	for prefix, why := range nodeTestSkips {
		if strings.HasPrefix(name, prefix) && !strings.Contains(name, "zero_ratio") {
			return why
		}
	}
	return ""
}
