/** Makes `Date` of this process wrong by so many milliseconds, for what is loaded into it as well; 0 brings the right one back. */
export function createSkewedClock(scope: { Date: DateConstructor } = globalThis): (ms: number) => void {
  const RealDate = scope.Date;
  return (ms) => {
    if (ms === 0) {
      scope.Date = RealDate;
      return;
    }
    const now = () => RealDate.now() + ms;
    scope.Date = new Proxy(RealDate, {
      apply: () => new RealDate(now()).toString(),
      construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
      get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
    });
  };
}
