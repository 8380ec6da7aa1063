package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

const (
	// maxSuggestions keeps a hint to what is read.
	maxSuggestions = 3
	// typingErrors are as many as a suggestion may differ by.
	typingErrors = 2
)

// suggestions are the commands that were probably meant: those whose name is the typed one, wherever they are, else those with a
// name like it. Their paths are whole, so that they can be typed.
func suggestions(root *cobra.Command, typed string) []string {
	var same, similar []string
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		cmd.SuggestionsMinimumDistance = typingErrors
		like := cmd.SuggestionsFor(typed)
		for _, sub := range cmd.Commands() {
			switch {
			case !sub.IsAvailableCommand(), sub.Name() == "completion":
				continue // shells' names are like anything
			case sub.Name() == typed:
				same = append(same, sub.CommandPath())
			case slices.Contains(like, sub.Name()):
				similar = append(similar, sub.CommandPath())
			}
			look(sub)
		}
	}
	look(root)
	if len(same) > 0 {
		return same
	}
	return similar[:min(len(similar), maxSuggestions)]
}

// unknownCommand returns the word that was taken for a command.
func unknownCommand(err error) (typed string, ok bool) {
	_, rest, found := strings.Cut(err.Error(), `unknown command "`)
	if !found {
		return "", false
	}
	typed, _, ok = strings.Cut(rest, `"`)
	return typed, ok
}

// suggest adds to the error of a command that does not exist what may have been meant.
func suggest(root *cobra.Command, err error) string {
	typed, ok := unknownCommand(err)
	if !ok {
		return countedArguments(err.Error())
	}
	text, _, _ := strings.Cut(err.Error(), "\n") // cobra's own suggestions know the commands of one level
	if meant := suggestions(root, typed); len(meant) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(meant, " or "))
	}
	return text
}

// argumentCount is what cobra says of too many or too few arguments.
var argumentCount = regexp.MustCompile(`^accepts (\d+) arg\(s\), received (\d+)$`)

// countedArguments says it in words.
func countedArguments(text string) string {
	numbers := argumentCount.FindStringSubmatch(text)
	if numbers == nil {
		return text
	}
	wanted, _ := strconv.Atoi(numbers[1]) // digits, as the expression says
	return fmt.Sprintf("wants %s, but got %s", counted(wanted, "argument"), numbers[2])
}
