# Remake inference.json: what R says about fitted mixed models, by section.
#
#   Rscript tests/reference/make_inference.R OUTPUT.json [SECTION ...]
#
# Needs R with lme4, lmerTest, pbkrtest, nlme, emmeans, performance, mvtnorm, numDeriv, minqa and jsonlite
# (Debian: r-cran-lmertest r-cran-pbkrtest r-cran-emmeans r-cran-performance r-cran-jsonlite).
# Run from the root of the repository; one BLAS thread (OMP_NUM_THREADS=1). It also writes the
# tables of tests/reference/data. The output is written after every section.

suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
})

args <- commandArgs(trailingOnly = TRUE)
if (length(args) == 0) stop("usage: Rscript tests/reference/make_inference.R OUTPUT.json [SECTION ...]")
output <- args[1]
wanted <- args[-1]
folder <- "tests/reference/data"
levels_of <- jsonlite::fromJSON("datasets/data/levels.json")
unbox <- jsonlite::unbox
text_of <- function(formula) unbox(paste(deparse(formula, width.cutoff = 200), collapse = ""))

# The fitting of make_lmm.R: its helpers alone are evaluated, not its loop.
helpers <- c("control", "polish", "plain", "variance_terms", "conditional_modes", "satterthwaite",
             "kenward_roger", "explained")
for (expression in parse("tests/reference/make_lmm.R"))
  if (as.character(expression[[1]]) == "<-" && as.character(expression[[2]])[1] %in% helpers)
    eval(expression)


# ---------------------------------------------------------------- simulated tables

label <- function(prefix, index) sprintf("%s%02d", prefix, index)

draw <- function(size, sd, corr) {
  z <- matrix(rnorm(2 * size), size)
  cbind(sd[1] * z[, 1], sd[2] * (corr * z[, 1] + sqrt(1 - corr^2) * z[, 2]))
}

simulated <- list(
  # 40 subjects, each with 10 of 24 items; slopes on both, an unbalanced factor of three levels
  sim_crossed = function() {
    set.seed(1)
    subject <- rep(1:40, each = 10)
    item <- as.vector(replicate(40, sort(sample(24, 10))))
    cond <- sample(c("base", "high", "low"), 400, TRUE, c(0.55, 0.3, 0.15))
    x <- round(rnorm(400), 2)
    of_subject <- draw(40, c(2, 0.8), 0.4)
    of_item <- draw(24, c(1.2, 0.5), -0.3)
    y <- 10 + 1.5 * x + c(base = 0, high = 1, low = -0.5)[cond] + 0.4 * x * (cond == "high") +
      of_subject[subject, 1] + of_subject[subject, 2] * x + of_item[item, 1] + of_item[item, 2] * x
    data.frame(y = round(y + rnorm(400, 0, 1.5), 2), x, cond, subject = label("s", subject),
               item = label("i", item))
  },
  # b within a (its labels are used again in every a), c crossed with both; f is constant in b
  sim_nested = function() {
    set.seed(2)
    a <- rep(1:8, each = 50)
    b <- unlist(lapply(1:8, function(i) sort(sample(4, 50, TRUE, c(0.4, 0.3, 0.2, 0.1)))))
    c <- sample(10, 400, TRUE)
    x <- round(runif(400, 0, 10), 1)
    f <- ifelse((a + b) %% 3 == 0, "treated", "control")
    y <- 50 + 0.8 * x + 2 * (f == "treated") + rnorm(8, 0, 3)[a] + rnorm(32, 0, 2)[4 * (a - 1) + b] +
      rnorm(10, 0, 1.5)[c] + rnorm(400, 0, 2)
    data.frame(y = round(y, 2), x, f, a = label("a", a), b = label("b", b), c = label("c", c))
  },
  # the variance of h is estimated at zero
  sim_zero = function() {
    set.seed(2)
    frame <- expand.grid(h = 1:6, g = 1:15)
    frame <- frame[rep(1:90, 2), ][sort(sample(180, 150)), ]
    x <- round(rnorm(150), 2)
    y <- 3 + 0.5 * x + rnorm(15, 0, 1.2)[frame$g] + rnorm(6, 0, 0.05)[frame$h] + rnorm(150)
    data.frame(y = round(y, 2), x, g = label("g", frame$g), h = label("h", frame$h))
  },
  # the correlation of g's intercept and slope is estimated at 1
  sim_corr = function() {
    set.seed(2)
    g <- rep(1:12, each = 10)
    h <- rep(1:10, 12)
    x <- rep(c(-2, -1, 0, 1, 2), 24)
    z <- rnorm(12)
    y <- 1 + x + 2 * z[g] + 0.6 * z[g] * x + rnorm(10, 0, 0.7)[h] + rnorm(120)
    data.frame(y = round(y, 2), x, g = label("g", g), h = label("h", h))
  },
  # twelve fixed effects; 600 and 20 levels
  sim_wide = function() {
    set.seed(3)
    n <- 2000
    g <- sample(600, n, TRUE)
    g[1:600] <- 1:600
    h <- sample(20, n, TRUE)
    f <- sample(c("p", "q", "r", "s"), n, TRUE, c(0.4, 0.3, 0.2, 0.1))
    x <- round(matrix(rnorm(5 * n), n), 1)
    b <- matrix(rbinom(3 * n, 1, 0.4), n)
    b[, 1] <- rbinom(600, 1, 0.5)[g]
    y <- 5 + x %*% c(1, -0.5, 0.2, 0, 0.1) + b %*% c(0.5, -0.3, 0) +
      c(p = 0, q = 0.3, r = -0.2, s = 0.6)[f] + rnorm(600)[g] + rnorm(20, 0, 0.6)[h] + rnorm(n, 0, 1.5)
    data.frame(y = round(as.vector(y), 2), x1 = x[, 1], x2 = x[, 2], x3 = x[, 3], x4 = x[, 4],
               x5 = x[, 5], b1 = b[, 1], b2 = b[, 2], b3 = b[, 3], f, g = sprintf("g%03d", g),
               h = label("h", h))
  },
  Ovary = function() {
    frame <- as.data.frame(nlme::Ovary)
    data.frame(Mare = as.integer(as.character(frame$Mare)), Time = frame$Time,
               follicles = frame$follicles)
  }
)

write_table <- function(name) {
  frame <- simulated[[name]]()
  path <- sprintf("%s/%s.csv.gz", folder, name)
  file <- gzfile(path, "w", compression = 9)
  write.csv(frame, file, row.names = FALSE, quote = FALSE)
  close(file)
}

read_data <- function(name) {
  own <- name %in% names(simulated)
  frame <- read.csv(sprintf("%s/%s.csv.gz", if (own) folder else "datasets/data", name))
  for (column in names(levels_of[[name]]))
    frame[[column]] <- factor(as.character(frame[[column]]), levels_of[[name]][[column]])
  for (column in names(frame)) if (is.character(frame[[column]])) frame[[column]] <- factor(frame[[column]])
  if (name == "Ovary") frame$Mare <- factor(frame$Mare)
  if (name == "Oats") frame$nf <- factor(frame$nf)
  frame$.w <- 1 + (seq_len(nrow(frame)) - 1) %% 3
  frame
}

# Tables with a note: the students 1 to 40 of InstEval; sleepstudy without some rows.
table_named <- function(name) {
  if (name == "InstEval40") {
    frame <- read_data("InstEval")
    return(droplevels(frame[as.integer(frame$s) <= 40, ]))
  }
  if (name == "InstEval400") {
    frame <- read_data("InstEval")
    return(droplevels(frame[as.integer(frame$s) <= 400 & as.integer(frame$d) <= 100, ]))
  }
  if (name == "sleepstudy_gaps") {
    frame <- read_data("sleepstudy")
    return(frame[-(c(2, 5, 6, 13, 49, 58, 77, 110, 111, 112, 163) + 1), ])
  }
  read_data(name)
}
table_notes <- list(
  InstEval40 = unbox("InstEval, students s in 1..40 (the first 40 levels), unused levels dropped"),
  InstEval400 = unbox("InstEval, the first 400 levels of s and the first 100 of d, unused levels dropped"),
  sleepstudy_gaps = unbox("sleepstudy without the 0-based rows 2,5,6,13,49,58,77,110,111,112,163")
)


# ---------------------------------------------------------------- fits

cache <- new.env()

# The polished fit; `frame` in the global environment is its table, which update() and friends need.
fit_of <- function(name, formula, reml = TRUE, weights = NULL, offset = NULL, frame = NULL) {
  key <- paste(name, deparse(formula, 500), reml, weights, offset)
  if (is.null(frame)) frame <- table_named(name)
  assign("frame", frame, envir = globalenv())
  if (is.null(cache[[key]])) {
    polished <- polish(formula, frame, reml, weights, offset)
    if (is.null(weights) && is.null(offset)) polished <- escape(polished, formula, frame, reml)
    cache[[key]] <- polished
  }
  cache[[key]]
}

# lmer may stop in a corner that is no minimum: fits on the boundary are begun again from inside.
escape <- function(polished, formula, frame, reml) {
  lower <- getME(polished$first, "lower")
  if (all(polished$theta[lower == 0] > 0)) return(polished)
  deviance <- lme4::lmer(formula, frame, REML = reml, control = control, devFunOnly = TRUE)
  trapped <- polished$objective
  for (scale in c(0.1, 0.3, 1)) {
    theta <- ifelse(lower == 0, scale, 0)
    for (radius in c(0.2, 1e-3)) theta <- minqa::bobyqa(theta, deviance, lower, control = list(
      rhobeg = radius * scale, rhoend = 1e-12, maxfun = 1e5))$par
    for (k in which(lower == 0 & theta < 1e-4))
      if (deviance(replace(theta, k, 0)) < deviance(theta) + 1e-9) theta[k] <- 0
    value <- deviance(theta)
    if (value < polished$objective - 1e-8) {
      parsed <- lFormula(formula, frame, REML = reml, control = control)
      call <- bquote(lme4::lmer(.(formula), data = frame, REML = .(reml), control = control))
      opt <- list(par = theta, fval = value, conv = 0, message = "polished")
      polished$fit <- mkMerMod(environment(deviance), opt, parsed$reTrms, fr = polished$first@frame, mc = call)
      polished$theta <- theta
      polished$objective <- value
      polished$trapped <- trapped
      deviance <- lme4::lmer(formula, frame, REML = reml, control = control, devFunOnly = TRUE)
    }
  }
  polished
}

tested <- function(...) as_lmerModLmerTest(fit_of(...)$fit)

head_of <- function(id, name, formula, reml, weights = NULL, offset = NULL) {
  out <- list(id = unbox(id), data = unbox(name), formula = text_of(formula), REML = unbox(reml))
  if (!is.null(weights)) out$weights <- unbox("w_i = 1 + (i mod 3), i = 0, 1, ...")
  if (!is.null(offset)) out$offset <- unbox(offset)
  out
}

attempt <- function(code) tryCatch(suppressMessages(suppressWarnings(code)), error = function(e) {
  message("    failed: ", conditionMessage(e))
  list(error = unbox(conditionMessage(e)))
})

columns_of <- function(frame) {
  out <- as.list(as.data.frame(frame))
  names(out) <- names(frame)
  lapply(out, function(column) if (is.factor(column)) as.character(column) else unname(column))
}

describe <- function(id, name, formula, method, kr = TRUE, ...) {
  reml <- method == "reml"
  id <- paste0(id, "_", method)
  message("  ", id)
  polished <- fit_of(name, formula, reml, ...)
  fit <- polished$fit
  likelihood <- -polished$objective / 2
  n <- nobs(fit)
  npar <- length(fixef(fit)) + length(polished$theta) + 1
  singular <- isSingular(fit, tol = 1e-4)
  out <- c(head_of(id, name, formula, reml, ...), list(
    n = unbox(n), p = unbox(length(fixef(fit))),
    groups = lapply(lapply(getME(fit, "flist"), nlevels), unbox),
    theta = unname(polished$theta), objective = unbox(polished$objective),
    logLik = unbox(likelihood), npar = unbox(npar), AIC = unbox(2 * npar - 2 * likelihood),
    BIC = unbox(log(n) * npar - 2 * likelihood),
    beta_names = names(fixef(fit)), beta = unname(fixef(fit)),
    se = sqrt(unname(diag(as.matrix(vcov(fit))))), vcov_beta = plain(vcov(fit)),
    sigma = unbox(sigma(fit)), varcorr = variance_terms(fit),
    ranef_head = attempt(conditional_modes(fit, 1)), fitted_head = unname(head(fitted(fit), 5)),
    singular = unbox(singular), hat_trace = unbox(sum(hatvalues(fit))),
    satterthwaite = attempt(satterthwaite(fit)), r2 = explained(fit)
  ))
  if (!is.null(polished$trapped)) out$objective_trapped <- unbox(polished$trapped)
  if (reml && kr) out[[if (singular) "kenward_roger_boundary" else "kenward_roger"]] <-
    attempt(kenward_roger(fit))
  out
}

wide <- y ~ x1 + x2 + x3 + x4 + x5 + b1 + b2 + b3 + f + (1 | g) + (1 | h)
crossed <- y ~ cond * x + (1 + x | subject) + (1 + x | item)
nested <- y ~ x * f + (1 | a / b) + (1 | c)
rats <- weight ~ Treatment * sex + Lsize + (1 | Litter)
both <- c("ml", "reml")

models <- list(
  list("machines_slopes", "Machines", score ~ Machine + (0 + Machine | Worker), both),
  list("oats_slope", "Oats", yield ~ nitro * Variety + (nitro | Block) + (1 | Block:Variety), both),
  list("oats_full", "Oats", yield ~ nitro * Variety + (1 | Block / Variety), both),
  list("pastes_crossed", "Pastes", strength ~ 1 + (1 | batch) + (1 | cask), both),
  list("pastes_fixed", "Pastes", strength ~ cask + (1 | batch), "reml"),
  list("penicillin_fixed", "Penicillin", diameter ~ sample + (1 | plate), both),
  list("ratpup", "RatPupWeight", rats, both),
  list("ratpup_slope", "RatPupWeight", weight ~ Treatment * sex + Lsize + (sex | Litter), both),
  list("orthodont_both", "Orthodont", distance ~ age * Sex + (age | Subject), both),
  list("insteval40_2f", "InstEval40", y ~ service + (1 | s) + (1 | d), both),
  list("insteval400_slope", "InstEval400", y ~ service + (1 | s) + (1 + service | d), both),
  list("insteval400_slopes", "InstEval400", y ~ service + (1 + service | s) + (1 + service | d), both),
  list("insteval400_3f", "InstEval400", y ~ service + (1 | s) + (1 | d) + (1 | dept), both),
  list("insteval40_3f", "InstEval40", y ~ service + (1 | s) + (1 | d) + (1 | dept), "reml"),
  list("crossed_slopes", "sim_crossed", crossed, both),
  list("crossed_simple", "sim_crossed", y ~ cond * x + (1 | subject) + (1 | item), both),
  list("crossed_mixed", "sim_crossed", y ~ x + (1 + x | subject) + (1 | item) + (0 + x | item), both),
  list("nested", "sim_nested", nested, both),
  list("nested_slope", "sim_nested", y ~ x + f + (x | a) + (1 | a:b) + (1 | c), both),
  list("zero", "sim_zero", y ~ x + (1 | g) + (1 | h), both),
  list("corr_crossed", "sim_corr", y ~ x + (x | g) + (1 | h), both),
  list("corr", "sim_corr", y ~ x + (x | g), both),
  list("wide", "sim_wide", wide, both)
)

sections <- list()

sections$models <- function() {
  records <- list()
  for (model in models) for (method in model[[4]])
    records[[length(records) + 1]] <- describe(model[[1]], model[[2]], model[[3]], method)
  records
}

# Weights and offsets: Satterthwaite's numbers; pbkrtest leaves the weights out, so no Kenward-Roger.
sections$weighted <- function() {
  sleep <- Reaction ~ Days + (Days | Subject)
  one <- function(id, name, formula, method, weights = NULL, offset = NULL, kr = FALSE)
    describe(id, name, formula, method, kr, weights = weights, offset = offset)
  list(
    one("sleepstudy_weights", "sleepstudy", sleep, "ml", ".w"),
    one("sleepstudy_weights", "sleepstudy", sleep, "reml", ".w"),
    one("sleepstudy_offset", "sleepstudy", sleep, "reml", NULL, "10 * Days"),
    one("sleepstudy_offset2", "sleepstudy", sleep, "reml", NULL, "Days^2"),
    one("sleepstudy_offset2", "sleepstudy", sleep, "ml", NULL, "Days^2"),
    one("ratpup_weights", "RatPupWeight", rats, "reml", ".w"),
    one("penicillin_weights", "Penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), "reml", ".w"),
    one("crossed_weights", "sim_crossed", y ~ x + (x | subject) + (1 | item), "reml", ".w")
  )
}


# ---------------------------------------------------------------- tests

tested_models <- list(
  list("ratpup", "RatPupWeight", rats),
  list("ratpup_slope", "RatPupWeight", weight ~ Treatment * sex + Lsize + (sex | Litter)),
  list("oats", "Oats", yield ~ nitro * Variety + (1 | Block / Variety)),
  list("oats_factor", "Oats", yield ~ nf * Variety + (1 | Block / Variety)),
  list("machines", "Machines", score ~ Machine + (1 | Worker / Machine)),
  list("orthodont", "Orthodont", distance ~ age * Sex + (1 | Subject)),
  list("orthodont_slope", "Orthodont", distance ~ age * Sex + (age | Subject)),
  list("crossed_simple", "sim_crossed", y ~ cond * x + (1 | subject) + (1 | item)),
  list("crossed_slopes", "sim_crossed", crossed),
  list("nested", "sim_nested", nested),
  list("wide", "sim_wide", y ~ f * x1 + b1 * b2 + (1 | g) + (1 | h))
)

anova_table <- function(fit, type, ddf) {
  table <- as.data.frame(anova(fit, type = type, ddf = ddf))
  list(type = unbox(type), ddf = unbox(ddf), terms = rownames(table), SumSq = table[["Sum Sq"]],
       MeanSq = table[["Mean Sq"]], NumDF = table$NumDF, DenDF = table$DenDF, F = table[["F value"]],
       p = table[["Pr(>F)"]])
}

sections$anova <- function() {
  lapply(tested_models, function(model) {
    message("  ", model[[1]])
    fit <- tested(model[[2]], model[[3]])
    kinds <- c("Satterthwaite", if (nobs(fit) < 1000) "Kenward-Roger")
    tables <- list()
    for (ddf in kinds) for (type in 1:3)
      tables[[length(tables) + 1]] <- attempt(anova_table(fit, type, ddf))
    c(head_of(model[[1]], model[[2]], model[[3]], TRUE), list(tables = tables))
  })
}

# Polished ML fits, so that refit = FALSE compares what refit = TRUE would, to more digits.
sections$comparisons <- function() {
  sequences <- list(
    list("sleepstudy", "sleepstudy", list(Reaction ~ 1 + (1 | Subject), Reaction ~ Days + (1 | Subject),
      Reaction ~ Days + (Days || Subject), Reaction ~ Days + (Days | Subject))),
    list("oats", "Oats", list(yield ~ 1 + (1 | Block / Variety), yield ~ nitro + (1 | Block / Variety),
      yield ~ nitro + Variety + (1 | Block / Variety), yield ~ nitro * Variety + (1 | Block / Variety))),
    list("machines", "Machines", list(score ~ Machine + (1 | Worker), score ~ Machine + (1 | Worker / Machine),
      score ~ Machine + (0 + Machine | Worker))),
    list("ratpup", "RatPupWeight", list(weight ~ sex + Lsize + (1 | Litter),
      weight ~ Treatment + sex + Lsize + (1 | Litter), rats)),
    list("crossed", "sim_crossed", list(y ~ x + (1 | subject) + (1 | item), y ~ cond + x + (1 | subject) + (1 | item),
      y ~ cond * x + (1 | subject) + (1 | item), crossed)),
    list("nested", "sim_nested", list(y ~ x + (1 | a / b), y ~ x + (1 | a / b) + (1 | c),
      y ~ x + f + (1 | a / b) + (1 | c), nested))
  )
  lapply(sequences, function(sequence) {
    message("  ", sequence[[1]])
    fits <- lapply(sequence[[3]], function(formula) fit_of(sequence[[2]], formula, FALSE)$fit)
    m1 <- fits[[1]]; m2 <- fits[[2]]; m3 <- fits[[3]]; m4 <- if (length(fits) > 3) fits[[4]]
    table <- as.data.frame(if (is.null(m4)) anova(m1, m2, m3, refit = FALSE) else
      anova(m1, m2, m3, m4, refit = FALSE))
    list(id = unbox(sequence[[1]]), data = unbox(sequence[[2]]),
         formulas = sapply(sequence[[3]], function(formula) as.character(text_of(formula))),
         npar = table$npar, AIC = table$AIC, BIC = table$BIC, logLik = table$logLik,
         deviance = table$deviance, Chisq = table$Chisq, Df = table$Df, p = table[["Pr(>Chisq)"]])
  })
}

hypotheses <- function(p) {
  second <- replace(numeric(p), 2, 1)
  list(second = rbind(second), last_two = rbind(replace(numeric(p), p - 1, 1), replace(numeric(p), p, 1)),
       mixed = rbind(rep(1, p), seq_len(p) / p), all = diag(p),
       deficient = rbind(second, replace(second, p, 1), 2 * second))
}

sections$contests <- function() {
  lapply(tested_models[c(1, 5, 7, 8, 10)], function(model) {
    message("  ", model[[1]])
    fit <- tested(model[[2]], model[[3]])
    joint <- single <- list()
    for (ddf in c("Satterthwaite", "Kenward-Roger")) {
      for (name in names(hypotheses(3))) {
        matrix <- hypotheses(length(fixef(fit)))[[name]]
        joint[[length(joint) + 1]] <- c(list(ddf = unbox(ddf), L = unname(matrix)), attempt(lapply(
          columns_of(contest(fit, matrix, joint = TRUE, ddf = ddf)), unbox)))
      }
      row <- rbind(seq_along(fixef(fit)) / 2, rev(seq_along(fixef(fit)) %% 3))
      for (i in 1:2) single[[length(single) + 1]] <- c(list(ddf = unbox(ddf), L = row[i, ]), attempt(lapply(
        columns_of(contest1D(fit, row[i, ], ddf = ddf, confint = TRUE)), unbox)))
    }
    names(joint) <- names(single) <- NULL
    wald <- confint(fit, method = "Wald", parm = "beta_")
    c(head_of(model[[1]], model[[2]], model[[3]], TRUE), list(joint = joint, single = single,
      wald95 = list(names = rownames(wald), lower = unname(wald[, 1]), upper = unname(wald[, 2]))))
  })
}


# ---------------------------------------------------------------- marginal means

shown <- function(object, ...) columns_of(as.data.frame(summary(object, ...)))

# p-values of simultaneous two-sided t-tests for two estimates, free of simulation: the bivariate normal
# probability integrated over the scale, each with its own df (emmeans' "mvt" is a simulation with whole df).
bivariate_p <- function(t, df, corr) {
  corner <- function(h, r) mvtnorm::pmvnorm(upper = c(-h, -h), corr = matrix(c(1, r, r, 1), 2),
                                            algorithm = mvtnorm::TVPACK(1e-14))
  outside <- function(h) 4 * pnorm(-h) - 2 * corner(h, corr[1, 2]) - 2 * corner(h, -corr[1, 2])
  one <- function(bound, df) integrate(Vectorize(function(s) 2 * df * s * dchisq(df * s^2, df) * outside(bound * s)),
                                   0, Inf, rel.tol = 1e-10, subdivisions = 1000)$value
  mapply(one, abs(t), df)
}

# What an adjustment changes; the rest of the table is that of "none".
adjusted <- function(...) {
  table <- shown(..., infer = TRUE)
  table[names(table) %in% c("lower.CL", "upper.CL", "p.value")]
}

means_of <- function(fit, specs, at, ddf, adjusts, dunnett) {
  fit_means <- function(...) emmeans::emmeans(fit, specs, at = at, lmer.df = ddf, ...)
  means <- fit_means()
  out <- list(specs = text_of(specs), ddf = unbox(ddf), at = at, means = shown(means, infer = TRUE))
  by <- length(means@misc$by.vars) > 0
  for (adjust in if (ddf == "satterthwaite") adjusts else intersect(adjusts, c("none", "tukey"))) {
    set.seed(7)
    show <- if (adjust == "none") function(x) shown(x, infer = TRUE) else adjusted
    out$pairs[[adjust]] <- show(pairs(means, adjust = adjust))
  }
  if (dunnett) {
    out$trt.vs.ctrl_dunnettx <- shown(emmeans::contrast(means, "trt.vs.ctrl", adjust = "dunnettx"), infer = TRUE)
    contrasts <- emmeans::contrast(means, "trt.vs.ctrl", adjust = "none")
    set.seed(7)
    out$trt.vs.ctrl_mvt <- adjusted(emmeans::contrast(means, "trt.vs.ctrl", adjust = "mvt"))
    table <- as.data.frame(summary(contrasts))
    if (!by && nrow(table) == 2) {
      corr <- cov2cor(vcov(contrasts))
      out$trt.vs.ctrl_exact <- list(p.value = bivariate_p(table$t.ratio, table$df, corr), df = table$df,
                                    corr = unname(corr))
    }
  }
  out
}

sections$emmeans <- function() {
  all <- c("none", "tukey", "bonferroni", "holm", "sidak", "fdr", "scheffe", "mvt")
  few <- c("none", "tukey", "holm")
  wanted_means <- list(
    list("ratpup", tested_models[[1]], list(
      list(~ Treatment, all, TRUE), list(~ Treatment | sex, few, TRUE), list(~ Treatment * sex, few, FALSE),
      list(~ sex, "none", FALSE), list(~ Treatment, few, TRUE, list(Lsize = 10)),
      list(~ Treatment, few, FALSE, list(Lsize = 14)),
      list(~ Treatment | Lsize, "none", FALSE, list(Lsize = c(10, 14))))),
    list("oats_factor", tested_models[[4]], list(
      list(~ Variety, all, TRUE), list(~ nf, c("none", "tukey", "scheffe", "mvt", "fdr"), TRUE),
      list(~ Variety | nf, few, FALSE), list(~ nf | Variety, few, FALSE))),
    list("oats", tested_models[[3]], list(list(~ Variety, few, TRUE, list(nitro = 0.5)), list(~ Variety, few, FALSE))),
    list("machines", tested_models[[5]], list(list(~ Machine, all, TRUE))),
    list("orthodont_slope", tested_models[[7]], list(
      list(~ Sex, "none", FALSE, list(age = 11)), list(~ Sex | age, "none", FALSE, list(age = c(8, 14))))),
    list("crossed_simple", tested_models[[8]], list(list(~ cond, few, TRUE), list(~ cond, few, FALSE, list(x = 1))))
  )
  out <- list()
  for (case in wanted_means) {
    message("  ", case[[1]])
    model <- case[[2]]
    fit <- tested(model[[2]], model[[3]])
    records <- list()
    for (part in case[[3]]) for (ddf in c("satterthwaite", "kenward-roger"))
      records[[length(records) + 1]] <- attempt(means_of(fit, part[[1]], if (length(part) > 3) part[[4]] else list(),
                                                         ddf, part[[2]], part[[3]]))
    out[[length(out) + 1]] <- c(head_of(case[[1]], model[[2]], model[[3]], TRUE), list(records = records))
  }
  trends <- list()
  for (i in c(6, 7, 8, 3)) for (ddf in c("satterthwaite", "kenward-roger")) {
    model <- tested_models[[i]]
    fit <- tested(model[[2]], model[[3]])
    variable <- c("nitro", "", "", "age", "age", "x")[i - 2]
    specs <- list(~ Variety, NULL, NULL, ~ Sex, ~ Sex, ~ cond)[[i - 2]]
    slopes <- emmeans::emtrends(fit, specs, var = variable, lmer.df = ddf)
    trends[[length(trends) + 1]] <- c(head_of(model[[1]], model[[2]], model[[3]], TRUE), list(
      variable = unbox(variable), specs = text_of(specs), ddf = unbox(ddf), trends = shown(slopes, infer = TRUE),
      pairs = shown(pairs(slopes), infer = TRUE)))
  }
  fit <- tested("RatPupWeight", rats)
  means <- emmeans::emmeans(fit, ~ Treatment, lmer.df = "satterthwaite")
  custom <- list(dose = c(-1, 0, 1), bend = c(1, -2, 1), half = c(-1, 0.5, 0.5))
  tests <- list(
    id = unbox("ratpup"), coefficients = custom,
    contrasts = shown(emmeans::contrast(means, custom, adjust = "none"), infer = TRUE),
    bonferroni = shown(emmeans::contrast(means, custom, adjust = "bonferroni"), infer = TRUE),
    joint = columns_of(emmeans::test(emmeans::contrast(means, custom[1:2]), joint = TRUE)),
    level90 = shown(means, infer = TRUE, level = 0.9),
    effects = shown(emmeans::contrast(means, "eff", adjust = "none"), infer = TRUE),
    joint_tests = columns_of(emmeans::joint_tests(fit, lmer.df = "satterthwaite")),
    null_delta = shown(pairs(means, adjust = "none"), infer = TRUE, null = 0.1)
  )
  rapply(list(means = out, trends = trends, custom = tests), function(x) signif(x, 10), "numeric", how = "replace")
}


# ---------------------------------------------------------------- influence

trimmed <- function(x) list(head = unname(head(x, 8)), sum = unbox(sum(x)), sum_squares = unbox(sum(x^2)),
                            largest = unbox(unname(which.max(x)) - 1))

# Each group left out in turn, polished; lme4's influence() for comparison, whose fits are looser.
without_groups <- function(name, formula, reml, group) {
  full <- fit_of(name, formula, reml)$fit
  whole <- table_named(name)
  levels <- unique(as.character(whole[[group]]))
  kept <- lapply(levels, function(level) {
    frame <- droplevels(whole[whole[[group]] != level, ])
    assign("frame", frame, envir = globalenv())
    polish(formula, frame, reml)
  })
  assign("frame", whole, envir = globalenv())
  beta <- t(sapply(kept, function(one) fixef(one$fit)))
  if (length(fixef(full)) == 1) beta <- t(beta)
  change <- sweep(-beta, 2, fixef(full), "+")
  inverse <- solve(as.matrix(vcov(full)))
  p <- ncol(beta)
  distance <- rowSums((change %*% inverse) * change) / p
  size <- nrow(beta)
  loose <- suppressWarnings(suppressMessages(lme4:::influence.merMod(full, groups = group, data = whole)))
  list(group = unbox(group), levels = levels, beta_without = unname(beta),
       objective_without = sapply(kept, function(one) one$objective),
       theta_without = unname(if (length(kept[[1]]$theta) == 1) cbind(sapply(kept, function(one) one$theta)) else
         t(sapply(kept, function(one) unname(one$theta)))),
       sigma_without = sapply(kept, function(one) sigma(one$fit)),
       se_without = unname(if (p == 1) cbind(sapply(kept, function(one) sqrt(vcov(one$fit)[1, 1]))) else
         t(sapply(kept, function(one) sqrt(diag(as.matrix(vcov(one$fit))))))),
       cook = distance, cook_lme4 = unname(cooks.distance(loose)),
       cook_lme4_factor = unbox((size - p) / size),
       largest_difference_from_lme4 = unbox(max(abs(unname(beta) - unname(loose[[2]])))))
}

sections$influence <- function() {
  sleep <- Reaction ~ Days + (Days | Subject)
  pen <- diameter ~ 1 + (1 | plate) + (1 | sample)
  rows <- list(
    list("sleepstudy_corr_reml", "sleepstudy", sleep, TRUE), list("sleepstudy_corr_ml", "sleepstudy", sleep, FALSE),
    list("sleepstudy_weights_reml", "sleepstudy", sleep, TRUE, ".w"),
    list("sleepstudy_offset2_reml", "sleepstudy", sleep, TRUE, NULL, "Days^2"),
    list("penicillin_reml", "Penicillin", pen, TRUE), list("ratpup_reml", "RatPupWeight", rats, TRUE),
    list("ratpup_weights_reml", "RatPupWeight", rats, TRUE, ".w"),
    list("crossed_slopes_reml", "sim_crossed", crossed, TRUE), list("nested_ml", "sim_nested", nested, FALSE),
    list("zero_reml", "sim_zero", y ~ x + (1 | g) + (1 | h), TRUE)
  )
  by_row <- lapply(rows, function(case) {
    weights <- if (length(case) > 4) case[[5]]
    offset <- if (length(case) > 5) case[[6]]
    fit <- fit_of(case[[2]], case[[3]], case[[4]], weights, offset)$fit
    c(head_of(case[[1]], case[[2]], case[[3]], case[[4]], weights, offset), list(
      leverage = trimmed(hatvalues(fit)), cook = trimmed(cooks.distance(fit)), rstudent = trimmed(rstudent(fit)),
      residual = trimmed(residuals(fit)), pearson = trimmed(residuals(fit, type = "pearson")),
      pearson_scaled = trimmed(residuals(fit, type = "pearson", scaled = TRUE))))
  })
  cases <- list(
    list("sleepstudy_corr_reml", "sleepstudy", sleep, TRUE, "Subject"),
    list("penicillin_reml", "Penicillin", pen, TRUE, "sample"),
    list("penicillin_reml", "Penicillin", pen, TRUE, "plate"),
    list("ratpup_reml", "RatPupWeight", rats, TRUE, "Litter"),
    list("machines_nested_ml", "Machines", score ~ Machine + (1 | Worker / Machine), FALSE, "Worker")
  )
  by_group <- lapply(cases, function(case) {
    message("  ", case[[1]], " ", case[[5]])
    c(head_of(case[[1]], case[[2]], case[[3]], case[[4]]), without_groups(case[[2]], case[[3]], case[[4]], case[[5]]))
  })
  list(by_row = by_row, by_group = by_group)
}


# ---------------------------------------------------------------- profiles

# The ML deviance with one parameter held, by nested minimisation: no splines, hence good to 1e-8.
# A variance parameter is a standard deviation, a correlation or sigma; terms have at most two columns.
profiler <- function(name, formula) {
  polished <- fit_of(name, formula, FALSE)
  fit <- polished$fit
  sizes <- lengths(fit@cnms)
  stopifnot(all(sizes <= 2))
  parsed <- lFormula(formula, get("frame", globalenv()), REML = FALSE, control = control)
  response <- model.response(parsed$fr)
  X <- parsed$X
  n <- length(response)
  deviance_for <- function(response, X) {
    parsed$fr[[1]] <- response
    parsed$X <- X
    do.call(mkLmerDevfun, c(parsed, list(control = control)))
  }
  standard <- function(theta) {
    out <- c()
    for (size in sizes) {
      own <- theta[seq_len(size * (size + 1) / 2)]
      theta <- theta[-seq_along(own)]
      out <- c(out, if (size == 1) own else c(own[1], if (own[2] == 0 && own[3] == 0) 0 else
        own[2] / sqrt(own[2]^2 + own[3]^2), sqrt(own[2]^2 + own[3]^2)))
    }
    unname(out)
  }
  relative <- function(par) {
    out <- c()
    for (size in sizes) {
      own <- par[seq_len(size * (size + 1) / 2)]
      par <- par[-seq_along(own)]
      out <- c(out, if (size == 1) own else c(own[1], own[2] * own[3], sqrt(max(0, 1 - own[2]^2)) * own[3]))
    }
    out
  }
  kind <- unlist(lapply(sizes, function(size) if (size == 1) "sd" else c("sd", "corr", "sd")))
  names_of <- unlist(lapply(seq_along(sizes), function(k) {
    group <- names(fit@cnms)[k]
    own <- paste0("sd_", fit@cnms[[k]], "|", group)
    if (sizes[k] == 1) own else c(own[1], sprintf("cor_%s.%s|%s", fit@cnms[[k]][2], fit@cnms[[k]][1], group), own[2])
  }))
  whole <- deviance_for(response, X)
  inside <- environment(whole)
  at_sigma <- function(theta, sigma) {
    whole(theta)
    inside$pp$ldL2() + n * log(2 * pi * sigma^2) + (inside$resp$wrss() + inside$pp$sqrL(1)) / sigma^2
  }
  best <- c(standard(polished$theta) * ifelse(kind == "sd", sigma(fit), 1), sigma(fit), fixef(fit))
  m <- length(kind)
  lower <- c(ifelse(kind == "sd", 0, -1), 1e-6 * sigma(fit))
  upper <- c(ifelse(kind == "sd", Inf, 1), Inf)
  # BOBYQA in the units of the parameters, restarted until nothing is gained; a second start leaves the boundary
  minimum <- function(start, f, unit, low, high, inner) {
    scaled <- function(x) f(x * unit)
    descend <- function(start) {
      value <- Inf
      for (radius in c(0.2, 0.05, 0.05, 1e-2, 1e-3, 1e-4)) {
        found <- minqa::bobyqa(start, scaled, low, high, control = list(rhobeg = radius, rhoend = 1e-8, maxfun = 50000))
        start <- found$par
        if (radius < 0.05 && value - found$fval < 1e-11) break
        value <- found$fval
      }
      found
    }
    start <- pmin(pmax(start / unit, low), high)
    found <- descend(start)
    if (any(abs(inner - start) > 1e-3 & (start - low < 1e-3 | high - start < 1e-3))) {
      other <- descend(inner)
      if (other$fval < found$fval) found <- other
    }
    found$par <- found$par * unit
    found
  }
  spread <- unlist(Map(function(z, names) {
    square <- Matrix::rowSums(z^2)
    sqrt(tapply(square, rep_len(seq_along(names), length(square)), sum) / n)
  }, parsed$reTrms$Ztlist, fit@cnms))
  unit <- rep(1, m)
  unit[kind == "sd"] <- pmax(best[1:m][kind == "sd"], 0.1 * sigma(fit) / spread)
  unit <- c(unit, sigma(fit))
  relative_unit <- ifelse(kind == "sd", unit[1:m] / sigma(fit), 1)
  middle <- c(ifelse(kind == "sd", 1, 0.5 * best[1:m]), 1)
  # the minimum with parameter k held at `value`; `state` is a start
  at <- function(k, value, state) {
    if (k <= m + 1) {
      free <- setdiff(seq_len(m + 1), k)
      complete <- function(x) replace(replace(numeric(m + 1), k, value), free, x)
      theta_of <- function(all) relative(all[1:m] / ifelse(kind == "sd", all[m + 1], 1))
      f <- function(x) {
        all <- complete(x)
        at_sigma(theta_of(all), all[m + 1])
      }
      found <- minimum(state[free], f, unit[free], (lower / unit)[free], (upper / unit)[free], middle[free])
      par <- complete(found$par)
      whole(theta_of(par))
      return(list(value = found$fval, par = c(par, inside$pp$beta(1))))
    }
    j <- k - m - 1
    held <- deviance_for(response - X[, j] * value, X[, -j, drop = FALSE])
    f <- function(x) held(relative(x))
    found <- minimum(state[1:m] / ifelse(kind == "sd", state[m + 1], 1), f, relative_unit, lower[1:m] / relative_unit,
                     upper[1:m] / relative_unit, middle[1:m])
    f(found$par)
    env <- environment(held)
    scale <- sqrt((env$resp$wrss() + env$pp$sqrL(1)) / n)
    beta <- append(env$pp$beta(1), value, j - 1)
    list(value = found$fval, par = c(found$par * ifelse(kind == "sd", scale, 1), scale, beta))
  }
  list(at = at, best = best, objective = polished$objective, names = c(names_of, "sigma", names(fixef(fit))),
       lower = c(lower, rep(-Inf, length(fixef(fit)))), upper = c(upper, rep(Inf, length(fixef(fit)))),
       se = sqrt(diag(as.matrix(vcov(fit)))), m = m)
}

limit <- function(profile, k, side, level) {
  target <- qnorm(1 - (1 - level) / 2)
  best <- profile$best[k]
  state <- profile$best
  excess <- function(value) {
    found <- profile$at(k, value, state)
    state <<- found$par
    sqrt(max(0, found$value - profile$objective)) - target
  }
  bound <- if (side < 0) profile$lower[k] else profile$upper[k]
  if (best == bound) return(if (side < 0 && bound == 0) 0 else bound)
  step <- if (k > profile$m + 1) 2 * profile$se[k - profile$m - 1] else if (abs(profile$upper[k]) == 1) 0.3 else
    0.3 * max(best, 0.1 * profile$best[profile$m + 1])
  near <- best
  at_near <- -target
  repeat {
    far <- near + side * step
    if (side * far >= side * bound) far <- bound
    at_far <- excess(far)
    if (at_far >= 0) break
    if (far == bound) return(bound)
    near <- far
    at_near <- at_far
    step <- 1.6 * step
  }
  ends <- sort(c(near, far))
  values <- if (side < 0) c(at_far, at_near) else c(at_near, at_far)
  uniroot(excess, ends, f.lower = values[1], f.upper = values[2], tol = 1e-9 * max(abs(best), 1e-3))$root
}

profile_record <- function(id, name, formula, levels, curves, loose = TRUE) {
  message("  ", id)
  started <- proc.time()[[3]]
  profile <- profiler(name, formula)
  out <- c(head_of(id, name, formula, FALSE), list(names = profile$names, estimate = unname(profile$best),
    objective = unbox(profile$objective)))
  for (level in levels) {
    pairs <- sapply(seq_along(profile$best), function(k) sapply(c(-1, 1), function(side)
      tryCatch(limit(profile, k, side, level), error = function(e) {
        message("    ", profile$names[k], " ", side, ": ", conditionMessage(e))
        NA
      })))
    out[[sprintf("limits%02.0f", 100 * level)]] <- list(lower = pairs[1, ], upper = pairs[2, ])
  }
  if (curves) {
    out$curves <- lapply(seq_along(profile$best), function(k) {
      width <- out$limits95$upper[k] - out$limits95$lower[k]
      values <- out$limits95$lower[k] + width * c(0.05, 0.3, 0.7, 0.95)
      found <- lapply(values, function(value) profile$at(k, value, profile$best))
      list(parameter = unbox(profile$names[k]), values = values,
           zeta = sign(values - profile$best[k]) * sqrt(pmax(0, sapply(found, `[[`, "value") - profile$objective)),
           parameters = t(sapply(found, function(one) unname(one$par))))
    })
  }
  if (loose) out$lme4_95 <- attempt({
    limits <- confint(fit_of(name, formula, FALSE)$first, method = "profile", oldNames = FALSE, quiet = TRUE)
    list(names = rownames(limits), lower = unname(limits[, 1]), upper = unname(limits[, 2]))
  })
  message(sprintf("    %.0f s", proc.time()[[3]] - started))
  out
}

sections$profiles <- function() {
  list(
    profile_record("sleepstudy_corr_ml", "sleepstudy", Reaction ~ Days + (Days | Subject), c(0.95, 0.9), TRUE),
    profile_record("sleepstudy_uncorr_ml", "sleepstudy", Reaction ~ Days + (Days || Subject), c(0.95, 0.9), FALSE),
    profile_record("sleepstudy_int_ml", "sleepstudy", Reaction ~ Days + (1 | Subject), c(0.95, 0.9), TRUE),
    profile_record("dyestuff_ml", "Dyestuff", Yield ~ 1 + (1 | Batch), c(0.95, 0.9), TRUE),
    profile_record("dyestuff2_ml", "Dyestuff2", Yield ~ 1 + (1 | Batch), 0.95, FALSE),
    profile_record("penicillin_ml", "Penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), c(0.95, 0.9), FALSE),
    profile_record("pastes_ml", "Pastes", strength ~ 1 + (1 | batch / cask), c(0.95, 0.9), FALSE),
    profile_record("machines_nested_ml", "Machines", score ~ Machine + (1 | Worker / Machine), 0.95, FALSE),
    profile_record("oats_full_ml", "Oats", yield ~ nitro * Variety + (1 | Block / Variety), 0.95, FALSE),
    profile_record("orthodont_int_ml", "Orthodont", distance ~ age * Sex + (1 | Subject), 0.95, FALSE),
    profile_record("orthodont_both_ml", "Orthodont", distance ~ age * Sex + (age | Subject), 0.95, FALSE),
    profile_record("ratpup_ml", "RatPupWeight", rats, c(0.95, 0.9), FALSE),
    profile_record("zero_ml", "sim_zero", y ~ x + (1 | g) + (1 | h), 0.95, FALSE),
    profile_record("corr_ml", "sim_corr", y ~ x + (x | g), 0.95, FALSE),
    profile_record("corr_crossed_ml", "sim_corr", y ~ x + (x | g) + (1 | h), 0.95, FALSE),
    profile_record("nested_ml", "sim_nested", nested, 0.95, FALSE),
    profile_record("crossed_slopes_ml", "sim_crossed", crossed, 0.95, FALSE, loose = FALSE)
  )
}


# ---------------------------------------------------------------- residual structure: nlme

# Both of nlme's optimisers, restarted; the better one is kept, the difference says how good it is.
lme_fit <- function(...) {
  fits <- lapply(c("nlminb", "optim"), function(opt) {
    tight <- nlme::lmeControl(opt = opt, optimMethod = "BFGS", maxIter = 500, msMaxIter = 2000, msMaxEval = 5000,
                              niterEM = 50, tolerance = 1e-10, msTol = 1e-13, returnObject = TRUE, natural = TRUE)
    tryCatch(suppressWarnings(nlme::lme(..., control = tight)), error = function(e) {
      message("    ", opt, ": ", conditionMessage(e))
      NULL
    })
  })
  fits <- Filter(Negate(is.null), fits)
  values <- sapply(fits, function(fit) as.numeric(logLik(fit)))
  list(fit = fits[[which.max(values)]], spread = if (length(values) > 1) diff(range(values)) else NA)
}

nlme_record <- function(id, name, fixed, random, method, correlation = NULL, weights = NULL) {
  message("  ", id)
  frame <- table_named(name)
  assign("frame", frame, envir = globalenv())
  call <- bquote(lme_fit(fixed = .(fixed), data = frame, random = .(random), method = .(method),
                         correlation = .(correlation), weights = .(weights)))
  found <- eval(call)
  fit <- found$fit
  unquoted <- function(part) if (is.null(part)) NULL else unbox(paste(deparse(part, 500), collapse = ""))
  table <- as.data.frame(summary(fit)$tTable)
  out <- list(id = unbox(id), data = unbox(name), fixed = text_of(fixed), random = unquoted(random),
    REML = unbox(method == "REML"),
    logLik = unbox(as.numeric(logLik(fit))), spread_of_optimisers = unbox(found$spread),
    npar = unbox(attr(logLik(fit), "df")), AIC = unbox(AIC(fit)), BIC = unbox(BIC(fit)),
    beta_names = rownames(table), beta = table$Value, se = table[["Std.Error"]], df = table$DF, t = table[["t-value"]],
    p = table[["p-value"]], vcov_beta = unname(fit$varFix), sigma = unbox(fit$sigma))
  out$correlation <- unquoted(correlation)
  out$weights <- unquoted(weights)
  # standard deviations and correlations of the random effects, level by level
  out$random_effects <- lapply(names(fit$modelStruct$reStruct), function(group) {
    cov <- as.matrix(fit$modelStruct$reStruct[[group]]) * fit$sigma^2
    list(group = unbox(group), names = rownames(cov), sd = unname(sqrt(diag(cov))), corr = unname(cov2cor(cov)))
  })
  out$ranef_head <- lapply(if (is.data.frame(ranef(fit))) list(ranef(fit)) else unclass(ranef(fit)), function(modes) {
    list(levels = rownames(modes)[1:3], columns = names(modes), modes = unname(as.matrix(modes[1:3, , drop = FALSE])))
  })
  names(out$ranef_head) <- NULL
  out$fitted_head <- unname(head(fitted(fit), 5))
  out$normalized_residual_head <- as.numeric(head(residuals(fit, type = "normalized"), 8))
  if (!is.null(correlation)) out$phi <- unname(coef(fit$modelStruct$corStruct, unconstrained = FALSE))
  if (!is.null(weights)) {
    ratios <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)
    if (length(ratios)) out$ratios <- list(names = names(ratios), values = as.numeric(ratios))
  }
  out$intervals <- attempt({
    bounds <- nlme::intervals(fit)
    lapply(unclass(bounds), function(part) {
      if (is.list(part) && !is.data.frame(part)) part <- do.call(rbind, part)
      if (is.null(dim(part))) return(as.numeric(part))
      list(names = rownames(part), lower = part[, 1], estimate = part[, 2], upper = part[, 3])
    })
  })
  out
}

sections$nlme <- function() {
  dist <- distance ~ age * Sex
  sleep <- Reaction ~ Days
  wave <- follicles ~ sin(2 * pi * Time) + cos(2 * pi * Time)
  rat <- weight ~ Treatment * sex + Lsize
  list(
    nlme_record("orthodont_plain_reml", "Orthodont", dist, quote(~ 1 | Subject), "REML"),
    nlme_record("orthodont_ident_int_reml", "Orthodont", dist, quote(~ 1 | Subject), "REML",
                weights = quote(nlme::varIdent(form = ~ 1 | Sex))),
    nlme_record("orthodont_ident_slope_reml", "Orthodont", dist, quote(~ age | Subject), "REML",
                weights = quote(nlme::varIdent(form = ~ 1 | Sex))),
    nlme_record("orthodont_ident_int_ml", "Orthodont", dist, quote(~ 1 | Subject), "ML",
                weights = quote(nlme::varIdent(form = ~ 1 | Sex))),
    nlme_record("orthodont_ar1_int_ml", "Orthodont", dist, quote(~ 1 | Subject), "ML",
                quote(nlme::corAR1(form = ~ 1 | Subject))),
    nlme_record("orthodont_ar1_slope_ml", "Orthodont", dist, quote(~ age | Subject), "ML",
                quote(nlme::corAR1(form = ~ 1 | Subject))),
    nlme_record("orthodont_ar1_ident_reml", "Orthodont", dist, quote(~ 1 | Subject), "REML",
                quote(nlme::corAR1(form = ~ 1 | Subject)), quote(nlme::varIdent(form = ~ 1 | Sex))),
    nlme_record("ovary_ar1_reml", "Ovary", wave, quote(list(Mare = nlme::pdDiag(~ sin(2 * pi * Time)))), "REML",
                quote(nlme::corAR1(form = ~ 1 | Mare))),
    nlme_record("ovary_ar1_ml", "Ovary", wave, quote(list(Mare = nlme::pdDiag(~ sin(2 * pi * Time)))), "ML",
                quote(nlme::corAR1(form = ~ 1 | Mare))),
    nlme_record("ovary_ar1_int_reml", "Ovary", wave, quote(~ 1 | Mare), "REML", quote(nlme::corAR1(form = ~ 1 | Mare))),
    nlme_record("sleepstudy_ar1_int_reml", "sleepstudy", sleep, quote(~ 1 | Subject), "REML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_ar1_int_ml", "sleepstudy", sleep, quote(~ 1 | Subject), "ML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_ar1_slope_reml", "sleepstudy", sleep, quote(~ Days | Subject), "REML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_ar1_slope_ml", "sleepstudy", sleep, quote(~ Days | Subject), "ML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_ar1_diag_reml", "sleepstudy", sleep, quote(list(Subject = nlme::pdDiag(~ Days))), "REML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_ar1_diag_ml", "sleepstudy", sleep, quote(list(Subject = nlme::pdDiag(~ Days))), "ML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_gaps_ar1_reml", "sleepstudy_gaps", sleep, quote(~ 1 | Subject), "REML",
                quote(nlme::corAR1(form = ~ Days | Subject))),
    nlme_record("sleepstudy_gaps_ar1_order_reml", "sleepstudy_gaps", sleep, quote(~ 1 | Subject), "REML",
                quote(nlme::corAR1(form = ~ 1 | Subject))),
    nlme_record("sleepstudy_weights_reml", "sleepstudy", sleep, quote(~ Days | Subject), "REML",
                weights = quote(nlme::varFixed(~ I(1 / .w)))),
    nlme_record("ratpup_ident_sex_reml", "RatPupWeight", rat, quote(~ 1 | Litter), "REML",
                weights = quote(nlme::varIdent(form = ~ 1 | sex))),
    nlme_record("ratpup_ident_treatment_reml", "RatPupWeight", rat, quote(~ 1 | Litter), "REML",
                weights = quote(nlme::varIdent(form = ~ 1 | Treatment))),
    nlme_record("ratpup_ident_treatment_ml", "RatPupWeight", rat, quote(~ 1 | Litter), "ML",
                weights = quote(nlme::varIdent(form = ~ 1 | Treatment))),
    nlme_record("ratpup_ident_weights_reml", "RatPupWeight", rat, quote(~ 1 | Litter), "REML", weights = quote(
      nlme::varComb(nlme::varIdent(form = ~ 1 | Treatment), nlme::varFixed(~ I(1 / .w))))),
    nlme_record("oats_ident_reml", "Oats", yield ~ nitro * Variety, quote(~ 1 | Block / Variety), "REML",
                weights = quote(nlme::varIdent(form = ~ 1 | Variety))),
    nlme_record("machines_ident_ml", "Machines", score ~ Machine, quote(~ 1 | Worker / Machine), "ML",
                weights = quote(nlme::varIdent(form = ~ 1 | Machine)))
  )
}


# ---------------------------------------------------------------- R2 and ICC by a package

sections$performance <- function() {
  cases <- list(
    list("sleepstudy_corr_reml", "sleepstudy", Reaction ~ Days + (Days | Subject)),
    list("ratpup_reml", "RatPupWeight", rats), list("crossed_slopes_reml", "sim_crossed", crossed),
    list("nested_reml", "sim_nested", nested), list("penicillin_reml", "Penicillin",
                                                   diameter ~ 1 + (1 | plate) + (1 | sample))
  )
  lapply(cases, function(case) {
    fit <- fit_of(case[[2]], case[[3]])$fit
    c(head_of(case[[1]], case[[2]], case[[3]], TRUE),
      attempt({
        r2 <- performance::r2_nakagawa(fit)
        icc <- performance::icc(fit)
        list(R2_conditional = unbox(as.numeric(r2[[1]])), R2_marginal = unbox(as.numeric(r2[[2]])),
             ICC_adjusted = unbox(icc$ICC_adjusted), ICC_unadjusted = unbox(icc$ICC_unadjusted))
      }),
      list(by_group = attempt({
        by <- as.data.frame(performance::icc(fit, by_group = TRUE))
        list(group = as.character(by[[1]]), ICC = by[[2]])
      })))
  })
}


# ---------------------------------------------------------------- all of it

for (name in names(simulated)) write_table(name)
for (name in names(simulated)) {
  frame <- read_data(name)
  factors <- Filter(is.factor, frame)
  levels_of[[name]] <- lapply(factors[sapply(factors, nlevels) < 100], levels)
}
versions <- lapply(c("lme4", "lmerTest", "pbkrtest", "nlme", "emmeans", "performance"), function(name)
  unbox(as.character(packageVersion(name))))
names(versions) <- c("lme4", "lmerTest", "pbkrtest", "nlme", "emmeans", "performance")
result <- list(meta = c(list(R = unbox(R.version.string)), versions), tables = table_notes,
               levels = levels_of[names(simulated)])
for (name in names(sections)) {
  if (length(wanted) && !(name %in% wanted)) next
  message(name)
  result[[name]] <- sections[[name]]()
  writeLines(jsonlite::toJSON(result, digits = I(15), null = "null", na = "null"), output)
}
