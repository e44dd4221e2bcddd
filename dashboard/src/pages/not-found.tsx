import { Sheet } from '../parts';
import { Link } from '../router';

export function NotFound() {
  return (
    <Sheet title="No such page">
      <p>
        The dashboard has no page at this address. <Link to="/">Go to the overview</Link>
      </p>
    </Sheet>
  );
}
