# Times lme4 on the problems of a table; called by lme4.py, prints JSON lines.
# Arguments: table, variant (see operations_of), repeats, budget (s), warm-up groups.

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

needed <- c("lme4", satterthwaite = "lmerTest", kenward_roger = "pbkrtest")
needed <- unname(needed[names(needed) %in% c("", variant)])
for (package in needed) {
  if (!suppressWarnings(requireNamespace(package, quietly = TRUE))) {
    for (id in problems$id) {
      show(problem = text(id), status = text("not installed"),
           message = text(paste("no", package, "in R")))
    }
    quit()
  }
}
suppressPackageStartupMessages(library("lme4"))
own <- rev(needed)
stamp <- paste0("{", paste0("\"", c(own, "R"), "\": \"",
                            c(sapply(own, function(p) as.character(packageVersion(p))),
                              paste(R.version$major, R.version$minor, sep = ".")),
                            "\"", collapse = ", "), "}")

# The operation of a problem on some rows: a function without arguments. It returns a model, an
# objective, or a list with `objective`, `values`, `beta`.
fit_of <- function(problem, data) {
  w <- if (nzchar(problem$weights)) data[[problem$weights]]
  o <- if (nzchar(problem$offset)) data[[problem$offset]]
  formula <- as.formula(problem$formula)
  reml <- problem$reml == "1"
  function() lmer(formula, data, REML = reml, weights = w, offset = o)
}
quiet <- function(value) suppressWarnings(suppressMessages(value))
model_of <- function(problem, data) {
  # confint and bootMer evaluate the call again: it holds what it needs.
  call <- list(as.name("lmer"), as.formula(problem$formula), data = data,
               REML = problem$reml == "1")
  if (nzchar(problem$weights)) call$weights <- data[[problem$weights]]
  if (nzchar(problem$offset)) call$offset <- data[[problem$offset]]
  quiet(eval(as.call(call)))
}
criterion <- function(model) if (isREML(model)) REMLcrit(model) else deviance(model)
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
refit_of <- function(problem, data) {
  model <- model_of(problem, data)
  function() refit(model)
}
satterthwaite_of <- function(problem, data) {
  model <- model_of(problem, data)
  function() {
    table <- coef(summary(lmerTest::as_lmerModLmerTest(model), ddf = "Satterthwaite"))
    list(values = table[, "df"], beta = fixef(model))
  }
}
kenward_roger_of <- function(problem, data) {
  model <- model_of(problem, data)
  function() {
    adjusted <- pbkrtest::vcovAdj(model)
    p <- length(fixef(model))
    unit <- function(j) as.numeric(seq_len(p) == j)
    df <- sapply(seq_len(p), function(j) pbkrtest::Lb_ddf(unit(j), vcov(model), adjusted))
    list(values = df, beta = fixef(model))
  }
}
profile_of <- function(problem, data) {
  model <- model_of(problem, data)
  function() list(values = as.vector(confint(model, method = "profile", quiet = TRUE)))
}
bootstrap_of <- function(problem, data) {
  model <- model_of(problem, data)
  number <- as.integer(problem$resamples) / 10
  function() {
    set.seed(0)
    list(values = apply(bootMer(model, fixef, nsim = number)$t, 2, sd))
  }
}
responses_of <- function(problem, data) {
  names <- paste0("y", seq_len(as.integer(problem$responses)) - 1)
  right <- strsplit(problem$formula, "~")[[1]][2]
  reml <- problem$reml == "1"
  function() {
    one <- function(y) criterion(lmer(as.formula(paste(y, "~", right)), data, REML = reml))
    list(objective = sum(sapply(names, one)))
  }
}
responses_by_refit_of <- function(problem, data) {
  model <- quiet(responses_model(problem, data))
  names <- paste0("y", seq_len(as.integer(problem$responses)) - 1)
  function() list(objective = sum(sapply(names, function(y) criterion(refit(model, data[[y]])))))
}
responses_model <- function(problem, data) {
  formula <- as.formula(paste("y0 ~", strsplit(problem$formula, "~")[[1]][2]))
  eval(as.call(list(as.name("lmer"), formula, data = data, REML = problem$reml == "1")))
}
operation <- function(name, of, how = "", share = function(problem) 1) {
  list(name = name, of = of, how = how, share = share)
}
of_all <- function(problem) as.numeric(problem$responses) / as.numeric(problem$all_responses)
operations <- switch(variant,
  formula = list(operation("fit", fit_of)),
  evaluation = list(operation("value", evaluation_of)),
  refit = list(operation("refit", refit_of, "refit")),
  satterthwaite = list(operation("satterthwaite", satterthwaite_of, "satterthwaite df")),
  kenward_roger = list(operation("kenward-roger", kenward_roger_of, "kenward-roger df")),
  profile = list(operation("profile", profile_of, "confint")),
  bootstrap = list(operation("bootstrap", bootstrap_of, "bootMer", function(problem) 0.1)),
  many = list(operation("many", responses_of, "lmer of each", of_all),
              operation("many, refit", responses_by_refit_of, "refit to each", of_all))
)

measure <- function(problem, kind, data) {
  key <- if (nzchar(problem$group)) data[[problem$group]]
  first <- if (warmup_groups > 0) head(unique(key), warmup_groups) else key
  if (repeats > 0) quiet(kind$of(problem, data[key %in% first, ])())
  operation <- kind$of(problem, data)
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
      quiet(operation())
      times <- c(times, now() - start)
      if (now() - begin > budget) break
    }
    seconds <- times
  }
  if (is(result, "merMod")) {
    result <- list(objective = criterion(result), beta = fixef(result))
  } else if (!is.list(result)) {
    result <- list(objective = result)
  }
  share <- kind$share(problem)
  show(problem = text(problem$id), status = text("ok"),
       operation = text(kind$name), seconds = number(seconds / share),
       if (nzchar(kind$how)) c(how = text(kind$how), share = sprintf("%.17g", share)),
       peak_bytes = sprintf("%.0f", peak),
       if (length(result$objective)) c(objective = sprintf("%.17g", result$objective)),
       if (length(result$beta)) c(beta = number(result$beta)),
       if (length(result$values)) c(values = gsub("NA|NaN", "null", number(result$values))),
       warnings = paste0("[", paste(text(head(unique(notes), 3)), collapse = ", "), "]"),
       versions = stamp)
}

for (i in seq_len(nrow(problems))) {
  problem <- problems[i, ]
  data <- read.csv(problem$csv)
  for (kind in operations) {
    tryCatch(measure(problem, kind, data), error = function(e) {
      show(problem = text(problem$id), operation = text(kind$name), status = text("failed"),
           message = text(conditionMessage(e)))
    })
  }
}
