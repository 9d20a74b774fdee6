# Remake lmm.json: fits by lme4, lmerTest and pbkrtest of the models listed below.
#
#   Rscript tests/reference/make_lmm.R OUTPUT.json [ID ...]
#
# Needs R with lme4, lmerTest, pbkrtest, minqa, numDeriv and jsonlite (Debian: r-cran-lmertest
# r-cran-pbkrtest r-cran-jsonlite). With ids, only those models and no extras are fitted; all
# of them take some minutes, nearly all of it for InstEval. Run from the root of the repository.

suppressPackageStartupMessages({
  library(lme4)
  library(lmerTest)
  library(pbkrtest)
})

args <- commandArgs(trailingOnly = TRUE)
if (length(args) == 0) stop("usage: Rscript tests/reference/make_lmm.R OUTPUT.json [ID ...]")
output <- args[1]
wanted <- args[-1]
levels_of <- jsonlite::fromJSON("datasets/data/levels.json")

models <- list(
  list("sleepstudy_int", "sleepstudy", Reaction ~ Days + (1 | Subject), c("ml", "reml")),
  list("sleepstudy_corr", "sleepstudy", Reaction ~ Days + (Days | Subject), c("ml", "reml")),
  list("sleepstudy_uncorr", "sleepstudy", Reaction ~ Days + (Days || Subject), c("ml", "reml")),
  list("sleepstudy_slopeonly", "sleepstudy", Reaction ~ Days + (0 + Days | Subject),
       c("ml", "reml")),
  list("sleepstudy_weights", "sleepstudy", Reaction ~ Days + (Days | Subject), c("ml", "reml"),
       weights = "w_i = 1 + (i mod 3), i=0..179"),
  list("sleepstudy_offset", "sleepstudy", Reaction ~ Days + (Days | Subject), "reml",
       offset = "o_i = 10*Days"),
  list("dyestuff", "Dyestuff", Yield ~ 1 + (1 | Batch), c("ml", "reml")),
  list("dyestuff2", "Dyestuff2", Yield ~ 1 + (1 | Batch), c("ml", "reml")),
  list("penicillin", "Penicillin", diameter ~ 1 + (1 | plate) + (1 | sample), c("ml", "reml")),
  list("pastes", "Pastes", strength ~ 1 + (1 | batch/cask), c("ml", "reml")),
  list("orthodont_int", "Orthodont", distance ~ age * Sex + (1 | Subject), c("ml", "reml")),
  list("orthodont_slope", "Orthodont", distance ~ age + (age | Subject), "reml"),
  list("machines_worker", "Machines", score ~ Machine + (1 | Worker), "reml"),
  list("machines_nested", "Machines", score ~ Machine + (1 | Worker/Machine), c("ml", "reml")),
  list("oats_lin", "Oats", yield ~ nitro + (1 | Block/Variety), c("ml", "reml")),
  list("ratpup", "RatPupWeight", weight ~ Treatment * sex + Lsize + (1 | Litter), "reml"),
  list("insteval_2f", "InstEval", y ~ service + (1 | s) + (1 | d), c("reml", "ml"))
)

read_data <- function(name) {
  frame <- read.csv(sprintf("datasets/data/%s.csv.gz", name), colClasses = NA)
  for (column in names(levels_of[[name]]))
    frame[[column]] <- factor(as.character(frame[[column]]), levels_of[[name]][[column]])
  frame$.w <- 1 + (seq_len(nrow(frame)) - 1) %% 3
  frame
}

control <- lmerControl(
  optimizer = "bobyqa", check.conv.grad = "ignore", check.conv.singular = "ignore",
  check.conv.hess = "ignore", check.rankX = "silent.drop.cols"
)

# lmer, then BOBYQA to 1e-12 and Newton steps on numerical derivatives of its deviance function.
# `weights` and `offset` are columns of the data (NULL for none).
polish <- function(formula, frame, reml, weights = NULL, offset = NULL, newton = TRUE) {
  call <- bquote(lme4::lmer(.(formula), data = frame, REML = .(reml), control = control))
  if (!is.null(weights)) call$weights <- as.name(weights)
  if (!is.null(offset)) call$offset <- str2lang(offset)
  first <- eval(call)
  call$devFunOnly <- TRUE
  deviance <- eval(call)
  theta <- getME(first, "theta")
  lower <- getME(first, "lower")
  tight <- list(rhobeg = 1e-3, rhoend = 1e-12, maxfun = 1e5)
  theta <- minqa::bobyqa(pmax(theta, lower), deviance, lower, control = tight)$par
  theta[lower == 0 & theta < 1e-7] <- 0
  free <- which(!(lower == 0 & theta == 0))
  along <- function(x) deviance(replace(theta, free, x))
  for (step in seq_len(if (newton && length(free)) 3 else 0)) {
    x <- theta[free]
    move <- solve(numDeriv::hessian(along, x), numDeriv::grad(along, x))
    theta[free] <- x - move
  }
  value <- deviance(theta)
  call$devFunOnly <- NULL
  opt <- list(par = theta, fval = value, conv = 0, message = "polished")
  parsed <- eval(bquote(lFormula(.(formula), frame, REML = .(reml), control = control)))
  list(
    fit = mkMerMod(environment(deviance), opt, parsed$reTrms, fr = first@frame, mc = call),
    theta = theta, objective = value, first = first
  )
}

plain <- function(matrix) unname(as.matrix(matrix))

variance_terms <- function(fit) {
  terms <- VarCorr(fit)
  lapply(names(terms), function(name) {
    term <- terms[[name]]
    list(group = jsonlite::unbox(name), names = rownames(term),
         sd = unname(attr(term, "stddev")), corr = plain(attr(term, "correlation")),
         cov = matrix(as.numeric(term), nrow(term)))
  })
}

conditional_modes <- function(fit, n_levels) {
  modes <- ranef(fit, condVar = n_levels < 1000)
  lapply(names(modes), function(name) {
    term <- head(modes[[name]], 6)
    out <- list(group = jsonlite::unbox(name), levels = rownames(term), columns = names(term),
                modes = plain(term))
    variance <- attr(modes[[name]], "postVar")
    if (is.array(variance)) out$condvar_first <- matrix(variance[, , 1], nrow(variance))
    out
  })
}

satterthwaite <- function(fit) {
  tested <- as_lmerModLmerTest(fit)
  table <- coef(summary(tested))
  anova3 <- as.data.frame(anova(tested, type = 3))
  list(df = unname(table[, "df"]), t = unname(table[, "t value"]),
       p = unname(table[, "Pr(>|t|)"]),
       anova3 = list(terms = rownames(anova3), F = anova3[["F value"]],
                     NumDF = anova3$NumDF, DenDF = anova3$DenDF, p = anova3[["Pr(>F)"]]),
       vcov_varpar = plain(tested@vcov_varpar))
}

kenward_roger <- function(fit) {
  adjusted <- vcovAdj(fit)
  p <- length(fixef(fit))
  list(vcov_adj = plain(adjusted), se = sqrt(unname(diag(as.matrix(adjusted)))),
       df = sapply(seq_len(p), function(j) Lb_ddf(as.numeric(seq_len(p) == j), vcov(fit), adjusted)))
}

profile_limits <- function(fit) {
  limits <- suppressWarnings(confint(fit, method = "profile", oldNames = FALSE, quiet = TRUE))
  list(names = rownames(limits), lower = unname(limits[, 1]), upper = unname(limits[, 2]))
}

explained <- function(fit) {
  fixed <- var(as.vector(getME(fit, "X") %*% fixef(fit)))
  half <- getME(fit, "Z") %*% getME(fit, "Lambda")
  random <- sigma(fit)^2 * mean(Matrix::rowSums(half^2))
  residual <- sigma(fit)^2
  all <- fixed + random + residual
  unbox <- jsonlite::unbox
  list(R2_conditional = unbox((fixed + random) / all), R2_marginal = unbox(fixed / all),
       ICC_adjusted = unbox(random / (random + residual)), ICC_unadjusted = unbox(random / all))
}

describe <- function(id, name, formula, method, weights = NULL, offset = NULL) {
  unbox <- jsonlite::unbox
  reml <- method == "reml"
  frame <- read_data(name)
  large <- nrow(frame) > 10000
  assign("frame", frame, envir = globalenv())
  polished <- polish(formula, frame, reml, if (!is.null(weights)) ".w",
                     if (!is.null(offset)) "10 * Days", newton = !large)
  fit <- polished$fit
  likelihood <- -polished$objective / 2
  npar <- length(fixef(fit)) + length(polished$theta) + 1
  groups <- sapply(getME(fit, "flist"), nlevels)
  singular <- isSingular(fit, tol = 1e-4)
  ordinary <- is.null(weights) && is.null(offset) && !large
  note <- c(weights, offset)
  kind <- if (is.null(weights)) "offset" else "weights"
  out <- list(
    id = unbox(paste0(id, "_", method)),
    data = unbox(if (length(note)) sprintf("%s with %s %s", name, kind, note) else name),
    formula = unbox(paste(deparse(formula, width.cutoff = 200), collapse = "")),
    REML = unbox(reml), weights = unbox(!is.null(weights)), offset = unbox(!is.null(offset)),
    n = unbox(nrow(frame)), p = unbox(length(fixef(fit))),
    groups = lapply(as.list(groups), unbox),
    theta = unname(polished$theta), objective = unbox(polished$objective),
    logLik = unbox(likelihood), npar = unbox(npar),
    AIC = unbox(2 * npar - 2 * likelihood),
    BIC = unbox(log(nrow(frame)) * npar - 2 * likelihood),
    beta_names = names(fixef(fit)), beta = unname(fixef(fit)),
    se = sqrt(unname(diag(as.matrix(vcov(fit))))), vcov_beta = plain(vcov(fit)),
    sigma = unbox(sigma(fit)), varcorr = variance_terms(fit),
    ranef_head = conditional_modes(fit, max(groups)),
    fitted_head = unname(head(fitted(fit), 5)), singular = unbox(singular)
  )
  if (!large) out$hat_trace <- unbox(sum(hatvalues(fit)))
  if (ordinary) out$satterthwaite <- satterthwaite(fit)
  if (ordinary && reml && !singular) out$kenward_roger <- kenward_roger(fit)
  if (!large && !singular) out$r2 <- explained(fit)
  if (ordinary && !reml) out$profile_ci95 <- profile_limits(polished$first)
  out
}

brief <- function(id, note, formula, frame) {
  unbox <- jsonlite::unbox
  assign("frame", frame, envir = globalenv())
  polished <- polish(formula, frame, TRUE)
  fit <- polished$fit
  list(id = unbox(id), note = unbox(note),
       formula = unbox(paste(deparse(formula, width.cutoff = 200), collapse = "")),
       REML = unbox(TRUE), n = unbox(nobs(fit)), objective = unbox(polished$objective),
       logLik = unbox(-polished$objective / 2), theta = unname(polished$theta),
       beta_names = names(fixef(fit)), beta = unname(fixef(fit)),
       se = sqrt(unname(diag(as.matrix(vcov(fit))))), sigma = unbox(sigma(fit)),
       varcorr = lapply(variance_terms(fit), function(term) term[names(term) != "cov"]))
}

extras <- function() {
  unbox <- jsonlite::unbox
  sleepstudy <- read_data("sleepstudy")
  sleepstudy$xx <- 2 * sleepstudy$Days
  deficient <- brief("sleepstudy_rankdef_reml", "rank-deficient X: xx = 2*Days is dropped by lme4",
                     Reaction ~ Days + xx + (Days | Subject), sleepstudy)
  missing <- sleepstudy
  missing$Reaction[c(2, 49, 110) + 1] <- NA
  missing$Days[c(7, 98) + 1] <- NA
  missing <- brief("sleepstudy_missing_reml", paste(
    "sleepstudy with NA in Reaction at 0-based rows 2,49,110 and in Days at rows 7,98 (rows dropped)"
  ), Reaction ~ Days + (Days | Subject), missing)
  assign("frame", sleepstudy, envir = globalenv())
  fit <- polish(Reaction ~ Days + (Days | Subject), sleepstudy, TRUE)$fit
  new <- data.frame(Days = c(0, 5, 10, 5), Subject = c("308", "308", "337", "999"))
  predicted <- list(
    id = unbox("sleepstudy_predict_reml"), newdata = new,
    conditional_allow_new = unname(predict(fit, new, allow.new.levels = TRUE)),
    population = unname(predict(fit, new, re.form = NA))
  )
  ml <- sapply(c(Reaction ~ Days + (Days || Subject), Reaction ~ Days + (Days | Subject)),
               function(formula) polish(formula, sleepstudy, FALSE)$objective)
  ratio <- list(id = unbox("sleepstudy_lrt_uncorr_vs_corr"), chisq = unbox(ml[1] - ml[2]),
                df = unbox(1), p = unbox(pchisq(ml[1] - ml[2], 1, lower.tail = FALSE)))
  rats <- read_data("RatPupWeight")
  assign("frame", rats, envir = globalenv())
  fit <- as_lmerModLmerTest(polish(weight ~ Treatment * sex + Lsize + (1 | Litter), rats, TRUE)$fit)
  by_satterthwaite <- as.data.frame(anova(fit, type = 3))
  by_kenward_roger <- as.data.frame(anova(fit, type = 3, ddf = "Kenward-Roger"))
  tests <- function(table) list(NumDF = table$NumDF, DenDF = table$DenDF, F = table[["F value"]],
                                p = table[["Pr(>F)"]])
  type3 <- c(list(id = unbox("ratpup_reml_anova_type3"), terms = rownames(by_satterthwaite),
                  SumSq = by_satterthwaite[["Sum Sq"]]), tests(by_satterthwaite))
  type3_kr <- c(list(id = unbox("ratpup_reml_anova_type3_KR"), terms = rownames(by_kenward_roger)),
                tests(by_kenward_roger))
  list(deficient, missing, predicted, ratio, type3, type3_kr)
}

fitted <- list()
for (model in models) {
  for (method in model[[4]]) {
    id <- paste0(model[[1]], "_", method)
    if (length(wanted) && !(id %in% wanted)) next
    message(id)
    fitted[[length(fitted) + 1]] <- describe(
      model[[1]], model[[2]], model[[3]], method, model$weights, model$offset
    )
  }
}
versions <- lapply(c("lme4", "lmerTest", "pbkrtest"), function(name) {
  jsonlite::unbox(as.character(packageVersion(name)))
})
names(versions) <- c("lme4", "lmerTest", "pbkrtest")
result <- list(
  meta = c(list(R = jsonlite::unbox(R.version.string)), versions),
  levels = levels_of, models = fitted
)
if (!length(wanted)) result$extra <- extras()
writeLines(jsonlite::toJSON(result, digits = I(15), null = "null", na = "null"), output)
