# Times lme4 on the problems of a table; called by lme4.py, prints one JSON line each.
# Arguments: table, variant ("formula" or "evaluation"), repeats, budget (s), warm-up groups.

args <- commandArgs(trailingOnly = TRUE)
variant <- args[2]
repeats <- as.integer(args[3])
budget <- as.numeric(args[4])
warmup_groups <- as.integer(args[5])
problems <- read.delim(args[1], colClasses = "character", quote = "", na.strings = NULL)

text <- function(x) {
  x <- trimws(gsub("[[:space:]]+", " ", gsub("(/[[:alnum:]_.+~-]+){2,}", "<path>", x)))
  sprintf("\"%s\"", gsub("([\"\\\\])", "\\\\\\1", substr(x, 1, 200)))
}
number <- function(x) paste0("[", paste(sprintf("%.17g", x), collapse = ", "), "]")
show <- function(...) {
  fields <- c(...)
  cat("{", paste0("\"", names(fields), "\": ", fields, collapse = ", "), "}\n", sep = "")
  flush(stdout())
}
now <- function() as.numeric(Sys.time())
status <- function(field) {
  line <- grep(field, readLines("/proc/self/status"), value = TRUE)
  1024 * as.numeric(gsub("[^0-9]", "", line))
}
reset_peak <- function() {
  cat("5", file = "/proc/self/clear_refs")
  status("VmRSS")
}

if (!suppressPackageStartupMessages(require("lme4", quietly = TRUE))) {
  for (id in problems$id) {
    show(problem = text(id), status = text("not installed"), message = text("no lme4 in R"))
  }
  quit()
}
stamp <- sprintf("{\"lme4\": \"%s\", \"R\": \"%s.%s\"}",
                 packageVersion("lme4"), R.version$major, R.version$minor)

# The operation of a problem on some rows: a function without arguments.
fit_of <- function(problem, data) {
  w <- if (nzchar(problem$weights)) data[[problem$weights]]
  o <- if (nzchar(problem$offset)) data[[problem$offset]]
  formula <- as.formula(problem$formula)
  reml <- problem$reml == "1"
  function() lmer(formula, data, REML = reml, weights = w, offset = o)
}
evaluation_of <- function(problem, data) {
  parsed <- lFormula(as.formula(problem$formula), data, REML = problem$reml == "1")
  devfun <- do.call(mkLmerDevfun, parsed)
  points <- lapply(strsplit(strsplit(problem$theta, ";")[[1]], ","), as.numeric)
  i <- 0
  function() {
    i <<- i %% length(points) + 1
    devfun(points[[i]])
  }
}

measure <- function(problem) {
  data <- read.csv(problem$csv)
  operation_of <- if (variant == "evaluation") evaluation_of else fit_of
  key <- data[[problem$group]]
  first <- if (warmup_groups > 0) head(unique(key), warmup_groups) else key
  if (repeats > 0) {
    suppressWarnings(suppressMessages(operation_of(problem, data[key %in% first, ])()))
  }
  operation <- operation_of(problem, data)
  notes <- character()
  note <- function(w) notes <<- c(notes, conditionMessage(w))
  invisible(gc())
  resident <- reset_peak()
  start <- now()
  result <- withCallingHandlers(operation(),
    warning = function(w) { note(w); invokeRestart("muffleWarning") },
    message = function(m) { note(m); invokeRestart("muffleMessage") })
  seconds <- now() - start
  peak <- status("VmHWM") - resident
  if (repeats > 0 && seconds < budget) {
    times <- c()
    begin <- now()
    for (i in seq_len(repeats)) {
      invisible(gc())
      start <- now()
      suppressWarnings(suppressMessages(operation()))
      times <- c(times, now() - start)
      if (now() - begin > budget) break
    }
    seconds <- times
  }
  fitted <- is(result, "merMod")
  objective <- if (!fitted) result else if (isREML(result)) REMLcrit(result) else deviance(result)
  show(problem = text(problem$id), status = text("ok"),
       operation = text(if (fitted) "fit" else "value"), seconds = number(seconds),
       peak_bytes = sprintf("%.0f", peak), objective = sprintf("%.17g", objective),
       if (fitted) c(beta = number(fixef(result))),
       warnings = paste0("[", paste(text(head(unique(notes), 3)), collapse = ", "), "]"),
       versions = stamp)
}

for (i in seq_len(nrow(problems))) {
  tryCatch(measure(problems[i, ]), error = function(e) {
    show(problem = text(problems$id[i]), status = text("failed"),
         message = text(conditionMessage(e)))
  })
}
